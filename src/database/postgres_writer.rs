//! Transactions on PostgreSQL: each takes a connection from the pool.
//!
//! A transaction is retried when the server asks for it (serialization failure, deadlock), and when
//! it times out on a lock. It returns its connection in between, so that one hot row cannot exhaust
//! the pool.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DbErr, TransactionTrait};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::clock::{Clock, Moment};
use crate::database::job::{
    Job, Progress, Submission, WorkError, in_doubt, is_connection_error, lost, sql_state,
    unavailable,
};
use crate::database::outage::{self, Ended, HEARTBEAT_INTERVAL, NOTICEABLE, Overload};
use crate::database::pool::Pool;
use crate::timestamp::Timestamp;

/// Maximum number of tries after serialization failures or broken connections.
const TRIES: u32 = 4;

/// Pause before the first retry; each further pause is longer.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How long an operator command waits for locks.
const OPERATOR_LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// How many hanging heartbeats are abandoned, each with a connection whose commit may hang.
const MAX_ABANDONED: u32 = 2;

/// Timeout of a heartbeat after that many were abandoned.
const NO_TIMEOUT: Duration = Duration::from_hours(24 * 365);

/// How long the recording of an outage is retried.
const RECORDING: Duration = Duration::from_mins(10);

/// A caller that waits for a transaction, and may stop waiting. What has not begun its commit by
/// then is not done: the client may have retried elsewhere, and its first request must not look
/// like token theft afterwards.
struct Caller<'w, T: Send + 'static> {
    progress: Progress,
    /// `None` once it has been received.
    answer: Option<oneshot::Receiver<T>>,
    writer: &'w PooledWriter,
    /// The caller waited until the timeout, and got the error that the commit is in doubt.
    timed_out_in_doubt: bool,
}

impl<T: Send + 'static> Caller<'_, T> {
    async fn answer(&mut self) -> Option<T> {
        match &mut self.answer {
            Some(answer) => answer.await.ok(),
            None => None,
        }
    }
}

impl<T: Send + 'static> Drop for Caller<'_, T> {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        if !self.progress.abandon() {
            tokio::spawn(wait_in_doubt(self.writer.clone(), answer, self.timed_out_in_doubt));
        }
    }
}

/// Records an outage from before the wait until the commit is over. If the caller hung up, it is
/// recorded only if the commit takes long, since any client can hang up at any time.
async fn wait_in_doubt<T>(
    writer: PooledWriter,
    mut answer: oneshot::Receiver<T>,
    timed_out_in_doubt: bool,
) {
    if timed_out_in_doubt || timeout(NOTICEABLE, &mut answer).await.is_err() {
        writer.doubts.begin(&writer);
        drop(answer.await);
        writer.doubts.end(&writer);
    }
}

/// What a transaction needs besides its work.
#[derive(Clone)]
pub(super) struct PooledWriter {
    pub(super) pool: Pool,
    pub(super) clock: Clock,
    /// The id of this process in recorded outages; nil before it serves.
    pub(super) instance: Uuid,
    /// Whether it uses the reserved connections, which requests cannot exhaust.
    pub(super) is_reserved: bool,
    pub(super) doubts: Doubts,
    pub(super) overload: Arc<Mutex<Overload>>,
    /// The highest value of the commit counter that a heartbeat of this instance has reached.
    pub(super) commits: Arc<AtomicI64>,
}

impl PooledWriter {
    /// Runs a transaction. After the timeout, or once the database is gone, the result is "not
    /// done", or "in doubt" if the commit was begun.
    pub(super) async fn run<T, E>(&self, it: Submission<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbErr> + Send + 'static,
    {
        if self.pool.write_obstacle().is_some() {
            return Err(unavailable().into());
        }
        let Submission { job, answer } = it;
        let progress = job.progress.clone();
        let deadline = Instant::now() + self.pool.wait();
        // A separate task: the transaction must not be dropped when its client hangs up.
        tokio::spawn(write_until(self.clone(), job, deadline));
        self.outcome(progress, answer).await
    }

    /// Waits for the outcome of a transaction, until the timeout or until the database is gone.
    pub(super) async fn outcome<T, E>(
        &self,
        progress: Progress,
        answer: oneshot::Receiver<Result<T, E>>,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbErr> + Send + 'static,
    {
        let answer = Some(answer);
        let mut caller = Caller { progress, answer, writer: self, timed_out_in_doubt: false };
        match self.pool.while_alive(caller.answer()).await {
            Some(result) => {
                caller.answer = None;
                result.unwrap_or_else(|| Err(lost().into()))
            }
            None if caller.progress.abandon() => Err(unavailable().into()),
            None => {
                caller.timed_out_in_doubt = true;
                Err(in_doubt().into())
            }
        }
    }

    /// The same without a request timeout. If the pool replaces its connections meanwhile, the one
    /// in use is dead: no response will come, and the outcome is in doubt.
    pub(super) async fn run_without_timeout<T, E: From<DbErr>>(
        &self,
        it: Submission<T, E>,
    ) -> Result<T, E> {
        let replaced = self.pool.recovered();
        tokio::spawn(write_until(self.clone(), it.job, Instant::now() + OPERATOR_LOCK_TIMEOUT));
        tokio::select! {
            biased;
            answer = it.answer => answer.unwrap_or_else(|_| Err(lost().into())),
            () = replaced => Err(in_doubt().into()),
        }
    }

    /// Starts the heartbeat, once a second, and records periods without one.
    pub(super) async fn begin_serving(&mut self, instance: Uuid) -> Result<(), DbErr> {
        self.instance = instance;
        let first = Moment::now();
        let writer = self.reserved();
        let commits = writer.send_heartbeat(first).await?;
        self.commits.store(commits, Ordering::Release);
        self.pool.keep(tokio::spawn(async move { writer.send_heartbeats(first, commits).await }));
        Ok(())
    }

    async fn send_heartbeats(&self, mut last: Moment, mut commits: i64) {
        let mut given_up = 0;
        loop {
            sleep(HEARTBEAT_INTERVAL).await;
            self.pool.beat_begins();
            let next = Moment::now();
            let patience = if given_up < MAX_ABANDONED { self.pool.wait() * 2 } else { NO_TIMEOUT };
            match timeout(patience, self.send_heartbeat(last)).await {
                Ok(Ok(number)) => {
                    self.compare(last, commits, number);
                    (last, commits) = (next, number);
                }
                Ok(Err(error)) => {
                    self.pool.suspect(&error);
                    tracing::debug!(%error, "the heartbeat could not be written");
                }
                // Commits hang, or this connection alone is dead: the next heartbeat, on another
                // connection, finds out. Until then the heartbeat is overdue.
                Err(_) => {
                    given_up += 1;
                    continue;
                }
            }
            given_up = 0;
            self.pool.beat_ends();
        }
    }

    /// Each heartbeat advances the counter. If it has not advanced, the database is an older copy.
    fn compare(&self, last: Moment, before: i64, now: i64) {
        self.commits.fetch_max(now, Ordering::AcqRel);
        if now > before {
            return;
        }
        tracing::error!(
            before,
            now,
            "the database has gone back: it lost acknowledged commits, as after a fail-over to a \
             replica that lagged behind. Lost logouts, disabled accounts and used tokens are valid \
             again; see \"Fail-over\" and \"Restoring a backup\" in docs/operations.md"
        );
        let began = self.clock.now().minus(last.elapsed());
        tokio::spawn(record(self.clone(), began, Ended::Now));
    }

    async fn send_heartbeat(&self, last: Moment) -> Result<i64, DbErr> {
        let instance = self.instance;
        let heartbeat = Submission::new(true, (), move |txn, now, ()| {
            Box::pin(outage::send_heartbeat(txn, instance, last, now))
        });
        self.run_without_timeout(heartbeat).await
    }

    /// The same writer on the reserved connections, which requests cannot exhaust.
    pub(super) fn reserved(&self) -> Self {
        Self { is_reserved: true, ..self.clone() }
    }

    pub(super) fn connections(&self) -> DatabaseConnection {
        let connections = self.pool.connections();
        if self.is_reserved { connections.reserved.clone() } else { connections.shared.clone() }
    }

    /// Called when a transaction got its turn, or timed out, after `waited`.
    pub(super) fn notice_overload(&self, waited: Duration) {
        if self.instance.is_nil() || self.is_reserved {
            return;
        }
        let mut overload = self.overload.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((began, ended)) = overload.notice(waited, self.clock.now()) {
            tokio::spawn(record(self.clone(), began, ended));
        }
    }

    /// Records that the commit of a transaction which began at `began` is in doubt. To be called
    /// before the caller gets the result: the client may retry at once.
    pub(super) async fn record_doubt(&self, began: Timestamp) {
        let recorded = tokio::spawn(record(self.clone(), began, Ended::Now));
        drop(timeout(NOTICEABLE, recorded).await);
    }

    /// Records that this instance stops cleanly: no response was lost.
    pub(super) async fn stop_serving(&self) {
        if self.instance.is_nil() {
            return;
        }
        let instance = self.instance;
        let leaving =
            Submission::new(true, (), move |txn, _, ()| Box::pin(outage::leave(txn, instance)));
        if let Err(error) = self.run(leaving).await {
            tracing::warn!(%error, "the clean stop could not be recorded");
        }
    }
}

/// Commits whose callers got the error that they are in doubt. Commits that overlap are recorded as
/// one outage.
#[derive(Clone, Default)]
pub(super) struct Doubts(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    count: usize,
    began: Option<Timestamp>,
}

impl Doubts {
    /// Until it ends, no instance may treat a retry by these callers as token theft.
    fn begin(&self, writer: &PooledWriter) {
        let began = writer.clock.now().minus(writer.pool.wait() + NOTICEABLE);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.count += 1;
        if open.began.is_none() {
            open.began = Some(began);
            tokio::spawn(record(writer.clone(), began, Ended::NotYet));
        }
    }

    fn end(&self, writer: &PooledWriter) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.count = open.count.saturating_sub(1);
        if open.count == 0
            && let Some(began) = open.began.take()
        {
            tokio::spawn(record(writer.clone(), began, Ended::Now));
        }
    }
}

/// Records an outage, retrying until the database accepts it. (Boxed because it is recursive: its
/// transaction may itself end in doubt.)
fn record(writer: PooledWriter, began: Timestamp, ended: Ended) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let (writer, deadline) = (writer.reserved(), Instant::now() + RECORDING);
        while let Err(error) = try_to_record(&writer, began, ended).await
            && Instant::now() < deadline
        {
            tracing::debug!(%error, "an outage could not be recorded yet");
            sleep(HEARTBEAT_INTERVAL).await;
        }
    })
}

async fn try_to_record(writer: &PooledWriter, began: Timestamp, ended: Ended) -> Result<(), DbErr> {
    let instance = writer.instance;
    let recording = Submission::new(true, (), move |txn, now, ()| {
        Box::pin(outage::record(txn, instance, began, ended, now))
    });
    writer.run_without_timeout(recording).await
}

/// Why a transaction was not committed.
enum Failure {
    /// The work returned an error, and may be retried.
    OfWork(WorkError),
    Database(DbErr),
    /// The commit was sent, and its response is missing.
    InDoubt,
}

async fn write_until(writer: PooledWriter, mut job: Job, deadline: Instant) {
    let (mut tries, mut pause) = (1, PAUSE);
    let committed = loop {
        let mut began = writer.clock.now();
        let result = attempt(&writer, &mut job, &mut began).await;
        let error = match &result {
            Err(Failure::OfWork(WorkError::Database(error)) | Failure::Database(error)) => {
                Some(error)
            }
            _ => None,
        };
        if let Some(error) = error {
            writer.pool.suspect(error);
            let has_time = Instant::now() < deadline && !job.progress.is_left();
            if has_time && may_try_again(error, tries) {
                sleep(pause).await;
                (tries, pause) = (tries + 1, (pause * 2).min(LONGEST_PAUSE));
                continue;
            }
        }
        break match result {
            Ok(()) | Err(Failure::OfWork(_)) => Ok(()),
            Err(Failure::Database(error)) => Err(error),
            Err(Failure::InDoubt) => {
                writer.record_doubt(began).await;
                Err(in_doubt())
            }
        };
    };
    job.transaction.finish(committed);
}

/// Serialization failures and deadlocks (40001, 40P01), connections that broke before the commit,
/// and, until the deadline, lock timeouts (55P03).
fn may_try_again(error: &DbErr, tries: u32) -> bool {
    match sql_state(error).as_deref() {
        Some("55P03") => true,
        Some("40001" | "40P01") => tries < TRIES,
        _ => is_connection_error(error) && tries < TRIES,
    }
}

async fn attempt(
    writer: &PooledWriter,
    job: &mut Job,
    began: &mut Timestamp,
) -> Result<(), Failure> {
    let (connections, asked) = (writer.connections(), Instant::now());
    let txn = connections.begin().await;
    writer.notice_overload(asked.elapsed());
    let txn = txn.map_err(Failure::Database)?;
    if job.progress.is_left() {
        // Other transactions wait for the connection.
        drop(txn.rollback().await);
        return Err(Failure::Database(lost()));
    }
    *began = writer.clock.now();
    if let Err(failed) = job.transaction.run(&txn, *began).await {
        // The error of the work counts; a broken connection makes the rollback fail, too.
        drop(txn.rollback().await);
        return Err(Failure::OfWork(failed));
    }
    if !job.progress.start_commit() {
        drop(txn.rollback().await);
        return Err(Failure::Database(lost()));
    }
    match txn.commit().await {
        Ok(()) => Ok(()),
        Err(error) if is_connection_error(&error) => {
            writer.pool.suspect(&error);
            Err(Failure::InDoubt)
        }
        // The server reports that it has not committed.
        Err(error) => {
            job.progress.reopen();
            Err(Failure::Database(error))
        }
    }
}
