//! Transactions on PostgreSQL. Each takes a connection from the pool.
//!
//! A transaction is retried after a serialization failure, a deadlock or a lock timeout. Between
//! two attempts it returns its connection, so that a contended row cannot exhaust the pool.

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
    Job, Progress, Submission, WorkError, aborted, in_doubt, is_connection_error, sql_state,
    unavailable,
};
use crate::database::outage::{self, Ended, HEARTBEAT_INTERVAL, NOTICEABLE, Overload};
use crate::database::pool::Pool;
use crate::timestamp::Timestamp;

/// Maximum number of attempts if they end with serialization failures, deadlocks or broken
/// connections.
const MAX_ATTEMPTS: u32 = 4;

/// Pause before the first retry. Each further pause is twice as long.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How long an operator command waits for locks.
const OPERATOR_LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// How many heartbeats in a row are abandoned because they hang. Each of them keeps occupying its
/// connection, because its commit may still hang.
const MAX_ABANDONED: u32 = 2;

/// Timeout of a heartbeat after [`MAX_ABANDONED`] heartbeats were abandoned.
const NO_TIMEOUT: Duration = Duration::from_hours(24 * 365);

/// How long the recording of an outage is retried.
const RECORDING_TIMEOUT: Duration = Duration::from_mins(10);

/// A caller that waits for a transaction, and may stop waiting. If it stops before the commit has
/// started, the transaction must not be committed: the client may have retried at another instance,
/// and its first request must not look like token theft afterwards.
struct Caller<'w, T: Send + 'static> {
    progress: Progress,
    /// `None` after the answer has been received.
    answer: Option<oneshot::Receiver<T>>,
    writer: &'w PooledWriter,
    /// Whether the caller waited until the timeout, and got the error that the commit is in doubt.
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

/// Waits for the commit of a transaction whose caller has left. Records an outage from before this
/// wait until the end of the commit. If the caller did not time out but disconnected, the outage is
/// recorded only if the commit takes long, because a client can disconnect at any time.
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

/// Runs transactions on connections of the pool.
#[derive(Clone)]
pub(super) struct PooledWriter {
    pub(super) pool: Pool,
    pub(super) clock: Clock,
    /// The id of this process in recorded outages; nil before it serves.
    pub(super) instance: Uuid,
    /// Whether the transactions use the reserved connections, which requests cannot exhaust.
    pub(super) is_reserved: bool,
    pub(super) doubts: Doubts,
    pub(super) overload: Arc<Mutex<Overload>>,
    /// The highest value of the commit counter that a heartbeat of this instance has reached.
    pub(super) commits: Arc<AtomicI64>,
}

impl PooledWriter {
    /// Runs a transaction. After the timeout, or if the database is unreachable, the result is "not
    /// done", or "in doubt" if the commit was started.
    pub(super) async fn run<T, E>(&self, submission: Submission<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbErr> + Send + 'static,
    {
        if self.pool.write_obstacle().is_some() {
            return Err(unavailable().into());
        }
        let Submission { job, answer } = submission;
        let progress = job.progress.clone();
        let deadline = Instant::now() + self.pool.wait();
        // A separate task, because the transaction must not be dropped when its client disconnects.
        tokio::spawn(write_until(self.clone(), job, deadline));
        self.outcome(progress, answer).await
    }

    /// Waits for the outcome of a transaction, until the timeout or until the database is
    /// unreachable.
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
        match self.pool.while_reachable(caller.answer()).await {
            Some(result) => {
                caller.answer = None;
                result.unwrap_or_else(|| Err(aborted().into()))
            }
            None if caller.progress.abandon() => Err(unavailable().into()),
            None => {
                caller.timed_out_in_doubt = true;
                Err(in_doubt().into())
            }
        }
    }

    /// As [`run`](Self::run), without a request timeout. If the pool replaces its connections
    /// meanwhile, the connection of the transaction has failed. No response will arrive, so the
    /// outcome is in doubt.
    pub(super) async fn run_without_timeout<T, E: From<DbErr>>(
        &self,
        submission: Submission<T, E>,
    ) -> Result<T, E> {
        let Submission { job, answer } = submission;
        let replaced = self.pool.recovered();
        tokio::spawn(write_until(self.clone(), job, Instant::now() + OPERATOR_LOCK_TIMEOUT));
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or_else(|_| Err(aborted().into())),
            () = replaced => Err(in_doubt().into()),
        }
    }

    /// Starts to send a heartbeat every second, and to record periods without a heartbeat.
    pub(super) async fn begin_serving(&mut self, instance: Uuid) -> Result<(), DbErr> {
        self.instance = instance;
        let first = Moment::now();
        let writer = self.reserved();
        let commits = writer.send_heartbeat(first).await?;
        self.commits.store(commits, Ordering::Release);
        let heartbeats = async move { writer.send_heartbeats(first, commits).await };
        self.pool.abort_on_close(tokio::spawn(heartbeats));
        Ok(())
    }

    async fn send_heartbeats(&self, mut last: Moment, mut commits: i64) {
        let mut abandoned = 0;
        loop {
            sleep(HEARTBEAT_INTERVAL).await;
            self.pool.heartbeat_begins();
            let next = Moment::now();
            let limit = if abandoned < MAX_ABANDONED { self.pool.wait() * 2 } else { NO_TIMEOUT };
            match timeout(limit, self.send_heartbeat(last)).await {
                Ok(Ok(counter)) => {
                    self.detect_older_copy(last, commits, counter);
                    (last, commits) = (next, counter);
                }
                Ok(Err(error)) => {
                    self.pool.suspect(&error);
                    tracing::debug!(%error, "the heartbeat could not be written");
                }
                // Either commits hang, or only this connection has failed. The next heartbeat uses
                // another connection and shows which is the case. Until it ends, the abandoned
                // heartbeat counts as overdue.
                Err(_) => {
                    abandoned += 1;
                    continue;
                }
            }
            abandoned = 0;
            self.pool.heartbeat_ends();
        }
    }

    /// Each heartbeat advances the commit counter. If the counter has not advanced since the last
    /// heartbeat, the database is an older copy.
    fn detect_older_copy(&self, last: Moment, before: i64, now: i64) {
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

    /// A writer that uses the reserved connections, which requests cannot exhaust.
    pub(super) fn reserved(&self) -> Self {
        Self { is_reserved: true, ..self.clone() }
    }

    pub(super) fn connections(&self) -> DatabaseConnection {
        let connections = self.pool.connections();
        if self.is_reserved { connections.reserved.clone() } else { connections.shared.clone() }
    }

    /// Must be called when a transaction has begun, or has timed out, after a wait of `waited`.
    pub(super) fn notice_overload(&self, waited: Duration) {
        if self.instance.is_nil() || self.is_reserved {
            return;
        }
        let mut overload = self.overload.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((began, ended)) = overload.notice(waited, self.clock.now()) {
            tokio::spawn(record(self.clone(), began, ended));
        }
    }

    /// Records that the commit of a transaction that began at `began` is in doubt. Must be called
    /// before the caller gets the result, because the client may retry immediately.
    pub(super) async fn record_doubt(&self, began: Timestamp) {
        let recorded = tokio::spawn(record(self.clone(), began, Ended::Now));
        drop(timeout(NOTICEABLE, recorded).await);
    }

    /// Records that this instance stops cleanly, and so has lost no response.
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

/// Commits that are in doubt for their callers and still under way. Commits that overlap are
/// recorded as one outage.
#[derive(Clone, Default)]
pub(super) struct Doubts(Arc<Mutex<OpenDoubts>>);

#[derive(Default)]
struct OpenDoubts {
    count: usize,
    began: Option<Timestamp>,
}

impl Doubts {
    /// Starts an outage, unless one is under way. Until it ends, no instance treats a retry by
    /// these callers as token theft.
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

/// Records an outage, and retries until the database accepts it. The future is boxed because the
/// function is recursive: the transaction that records the outage may itself end in doubt.
fn record(writer: PooledWriter, began: Timestamp, ended: Ended) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let (writer, deadline) = (writer.reserved(), Instant::now() + RECORDING_TIMEOUT);
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
    /// The work returned an error.
    OfWork(WorkError),
    Database(DbErr),
    /// The commit was sent, and its response is missing.
    InDoubt,
}

/// Runs a transaction. Retries it until the deadline, if [`may_retry`].
async fn write_until(writer: PooledWriter, mut job: Job, deadline: Instant) {
    let (mut attempts, mut pause) = (1, PAUSE);
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
            let has_time = Instant::now() < deadline && !job.progress.has_caller_left();
            if has_time && may_retry(error, attempts) {
                sleep(pause).await;
                (attempts, pause) = (attempts + 1, (pause * 2).min(LONGEST_PAUSE));
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

/// Whether a transaction may be retried after `error`. Lock timeouts (55P03) are retried until the
/// deadline; serialization failures (40001), deadlocks (40P01) and connections that failed before
/// the commit, up to [`MAX_ATTEMPTS`].
fn may_retry(error: &DbErr, attempts: u32) -> bool {
    match sql_state(error).as_deref() {
        Some("55P03") => true,
        Some("40001" | "40P01") => attempts < MAX_ATTEMPTS,
        _ => is_connection_error(error) && attempts < MAX_ATTEMPTS,
    }
}

async fn attempt(
    writer: &PooledWriter,
    job: &mut Job,
    began: &mut Timestamp,
) -> Result<(), Failure> {
    let (connections, requested_at) = (writer.connections(), Instant::now());
    let txn = connections.begin().await;
    writer.notice_overload(requested_at.elapsed());
    let txn = txn.map_err(Failure::Database)?;
    if job.progress.has_caller_left() {
        // Return the connection, because other transactions wait for it.
        drop(txn.rollback().await);
        return Err(Failure::Database(aborted()));
    }
    *began = writer.clock.now();
    if let Err(failed) = job.transaction.run(&txn, *began).await {
        // The error of the work is the cause. After a broken connection, the rollback fails as
        // well.
        drop(txn.rollback().await);
        return Err(Failure::OfWork(failed));
    }
    if !job.progress.start_commit() {
        drop(txn.rollback().await);
        return Err(Failure::Database(aborted()));
    }
    match txn.commit().await {
        Ok(()) => Ok(()),
        Err(error) if is_connection_error(&error) => {
            writer.pool.suspect(&error);
            Err(Failure::InDoubt)
        }
        // The server reports that the transaction was not committed.
        Err(error) => {
            job.progress.reopen();
            Err(Failure::Database(error))
        }
    }
}
