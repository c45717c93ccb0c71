//! Group commit: SQLite transactions that share commits.
//!
//! A durable commit needs a sync to disk, which takes longer than the statements before it. While a
//! batch is synced, further transactions wait in the queue. All of them form the next batch, share
//! its sync, and are acknowledged after it.
//!
//! If a rule refuses a transaction of a batch, this transaction may already have written. So the
//! batch runs again with a savepoint around each transaction. If the database fails in a
//! transaction of a batch, each transaction runs alone. So a failure does not affect other
//! transactions of the batch, and a refusal costs them no extra sync.
//!
//! A success that the driver reports is not enough for an acknowledgement. Each batch advances a
//! counter, and another connection must see the new value afterwards (`sqlite_connections`).

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::clock::{Clock, Moment};
use crate::database::job::{Job, WorkError, in_doubt, unavailable};
use crate::database::outage::{self, Ended, NOTICEABLE, OVERLOADED, Overload};
use crate::database::reserve::Reserve;
use crate::database::sqlite_connections::{self, Connections, Count, is_full, is_suspicious};
use crate::timestamp::Timestamp;

/// Maximum number of transactions in a batch. It bounds how long the first of them waits for the
/// last.
const MAX_BATCH: usize = 128;

/// How often an idle writer checks the clock to detect a suspension of the process.
const TICK: Duration = Duration::from_millis(500);

/// Messages to the writer.
pub(super) enum Message {
    /// A transaction, and the time at which it began to wait.
    Run(Job, Instant),
    /// Closes the writer after the transactions queued before it.
    Close(oneshot::Sender<()>),
}

/// The state of the writer.
#[derive(Default)]
pub(super) struct State {
    /// Whether this process serves clients, as opposed to a command.
    pub(super) is_serving: AtomicBool,
    pub(super) is_failing: AtomicBool,
    pub(super) is_full: AtomicBool,
    /// The time at which the response to a commit could not be sent. 0 after it was recorded.
    pub(super) lost_response_at: AtomicI64,
    /// When the commit under way began.
    commit_since: Mutex<Option<Instant>>,
    /// The highest commit counter that this process has reached.
    pub(super) commits: AtomicI64,
}

impl State {
    pub(super) fn commit_since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.commit_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that owns the writing connection.
pub(super) struct Writer {
    connections: Connections,
    clock: Clock,
    state: Arc<State>,
    /// When the process last ran for certain, to detect its suspension.
    last_seen: Moment,
    wait: Duration,
    overload: Overload,
    /// Outages to record with the next batch.
    outages: Vec<(Timestamp, Ended)>,
    reserve: Reserve,
}

/// Why a batch was not committed. Nothing was changed, unless the error is that the commit is in
/// doubt.
enum Failure {
    /// A transaction of the batch failed.
    Single(WorkError),
    /// The batch as a whole failed.
    Whole(DbErr),
}

impl Failure {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Single(WorkError::Refused) => None,
            Self::Single(WorkError::Database(error)) | Self::Whole(error) => Some(error),
        }
    }
}

/// What a failed transaction rolls back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// The whole batch.
    None,
    /// Only its own writes.
    Savepoints,
}

impl Writer {
    pub(super) fn new(
        connections: Connections,
        clock: Clock,
        state: Arc<State>,
        wait: Duration,
        reserve: Reserve,
    ) -> Self {
        Self {
            connections,
            clock,
            state,
            last_seen: Moment::now(),
            wait,
            overload: Overload::default(),
            outages: Vec::new(),
            reserve,
        }
    }

    /// Processes messages until the writer is closed.
    pub(super) async fn work(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = Vec::with_capacity(MAX_BATCH);
        loop {
            tokio::select! {
                received = queue.recv_many(&mut messages, MAX_BATCH) => {
                    if received == 0 {
                        return;
                    }
                }
                _ = tick.tick() => {
                    self.tick().await;
                    continue;
                }
            }
            let (mut jobs, mut closing) = (Vec::with_capacity(messages.len()), None);
            for message in messages.drain(..) {
                match message {
                    Message::Run(job, since) => jobs.push(self.accept(job, since)),
                    Message::Close(closed) => closing = Some(closed),
                }
            }
            self.commit_all(jobs).await;
            if let Some(closed) = closing {
                self.connections.close().await;
                let _ = closed.send(());
                return;
            }
        }
    }

    async fn tick(&mut self) {
        self.notice_suspension();
        self.last_seen = Moment::now();
        let has_space = !self.state.is_serving.load(Ordering::Acquire)
            || self.reserve.is_allocated()
            || self.reserve.allocate().await;
        if has_space && self.state.is_full.swap(false, Ordering::AcqRel) {
            tracing::info!("the disk has free space again");
        }
    }

    /// Counts a suspension of the process as an outage, because it has answered no requests
    /// meanwhile.
    fn notice_suspension(&mut self) {
        let suspended = self.last_seen.elapsed();
        if suspended > NOTICEABLE {
            let now = self.clock.now();
            self.outages.push((now.minus(suspended), Ended::At(now)));
            self.last_seen = Moment::now();
        }
    }

    /// Takes a job for the next commit. Notices overload if the job has waited too long.
    fn accept(&mut self, job: Job, waiting_since: Instant) -> Job {
        let now = self.clock.now();
        self.outages.extend(self.overload.notice(waiting_since.elapsed(), now));
        job
    }

    async fn commit_all(&mut self, jobs: Vec<Job>) {
        self.notice_suspension();
        let lost_response_at = self.state.lost_response_at.swap(0, Ordering::AcqRel);
        if lost_response_at > 0 {
            let at = Timestamp::from_micros(lost_response_at);
            self.outages.push((at.minus(self.wait), Ended::Overload(at.plus(OVERLOADED))));
        }
        let mut batch = Vec::with_capacity(jobs.len());
        for job in jobs {
            if self.refuses(&job) {
                job.transaction.finish(Err(unavailable()));
            } else if job.progress.start_commit() {
                batch.push(job);
            }
        }
        if batch.is_empty() {
            return;
        }
        let mut result = self.commit(&mut batch, Isolation::None).await;
        if batch.len() > 1 && matches!(result, Err(Failure::Single(WorkError::Refused))) {
            result = self.commit(&mut batch, Isolation::Savepoints).await;
        }
        match result {
            Ok(()) => finish(batch, &Ok(())),
            Err(Failure::Whole(error)) if !self.is_full() => finish(batch, &Err(error)),
            // The caller gets the outcome of the work, which has the reason.
            Err(Failure::Single(_)) if batch.len() == 1 && !self.is_full() => {
                finish(batch, &Ok(()));
            }
            Err(_) => {
                for job in batch {
                    self.commit_alone(job).await;
                }
            }
        }
    }

    async fn commit_alone(&mut self, job: Job) {
        if self.refuses(&job) {
            return job.transaction.finish(Err(unavailable()));
        }
        let mut alone = [job];
        let result = self.commit(&mut alone, Isolation::None).await;
        let [job] = alone;
        job.transaction.finish(match result {
            Ok(()) | Err(Failure::Single(_)) => Ok(()),
            Err(Failure::Whole(error)) => Err(error),
        });
    }

    /// While the disk is full, only urgent transactions are accepted.
    fn refuses(&self, job: &Job) -> bool {
        self.is_full() && !job.is_urgent
    }

    fn is_full(&self) -> bool {
        self.state.is_full.load(Ordering::Acquire)
    }

    async fn commit(&mut self, jobs: &mut [Job], isolation: Isolation) -> Result<(), Failure> {
        let (began, began_at) = (Moment::now(), self.clock.now());
        *self.state.commit_since() = Some(Instant::now());
        let result = self.try_commit(jobs, isolation).await;
        *self.state.commit_since() = None;
        self.last_seen = Moment::now();

        let error = match &result {
            Ok(()) => None,
            Err(Failure::Whole(error)) => Some(error),
            Err(failure) => failure.database_error().filter(|error| is_suspicious(error)),
        };
        self.state.is_failing.store(error.is_some(), Ordering::Release);
        if result.is_ok() {
            self.outages.clear();
        }
        if let Some(error) = error {
            tracing::error!(%error, "a batch of transactions was not committed");
            if is_full(error) && !self.state.is_full.swap(true, Ordering::AcqRel) {
                tracing::error!("the disk is full: only logouts and other revocations are written");
                self.reserve.release();
            }
            if !self.outages.iter().any(|(_, ended)| matches!(ended, Ended::Now)) {
                self.outages.push((began_at, Ended::Now));
            }
        } else if began.elapsed() > NOTICEABLE {
            self.outages.push((began_at, Ended::At(self.clock.now())));
        }
        result
    }

    async fn try_commit(&mut self, jobs: &mut [Job], isolation: Isolation) -> Result<(), Failure> {
        let txn = self.connections.begin().await.map_err(Failure::Whole)?;
        let count = match self.run_all(&txn, jobs, isolation).await {
            Ok(count) => count,
            Err(failure) => {
                self.connections.roll_back(txn, failure.database_error()).await;
                return Err(failure);
            }
        };
        if let Err(error) = txn.commit().await {
            self.connections.discard().await;
            // SQLite reports that the commit failed, but it may have taken effect. Other
            // connections show whether it has.
            let is_undone = matches!(self.connections.is_visible(count).await, Ok(false));
            return Err(Failure::Whole(if is_undone { error } else { in_doubt() }));
        }
        match self.connections.is_visible(count).await {
            Ok(true) => {
                let commits = count.and_then(|count| count.commits).unwrap_or(0);
                self.state.commits.fetch_max(commits, Ordering::AcqRel);
                Ok(())
            }
            seen => {
                let error = seen.err().map(|error| error.to_string());
                tracing::error!(error, "a committed write is not visible to readers");
                self.connections.discard().await;
                Err(Failure::Whole(in_doubt()))
            }
        }
    }

    /// Advances the counters, and runs the transactions of the batch up to the first that fails.
    async fn run_all(
        &mut self,
        txn: &DatabaseTransaction,
        jobs: &mut [Job],
        isolation: Isolation,
    ) -> Result<Option<Count>, Failure> {
        let count = self.advance_counters(txn).await.map_err(Failure::Whole)?;
        for job in jobs {
            let now = self.clock.now();
            match isolation {
                Isolation::None => job.transaction.run(txn, now).await.map_err(Failure::Single)?,
                Isolation::Savepoints => in_savepoint(txn, job, now).await?,
            }
        }
        Ok(count)
    }

    /// Advances the counters, and records outages since the last commit. Returns `None` if the
    /// schema has no counters yet.
    async fn advance_counters(
        &mut self,
        txn: &DatabaseTransaction,
    ) -> Result<Option<Count>, DbErr> {
        if !self.connections.has_counter(txn).await? {
            return Ok(None);
        }
        let now = self.clock.now();
        for (began, ended) in &self.outages {
            outage::record(txn, Uuid::nil(), *began, *ended, now).await?;
        }
        if !self.outages.is_empty() {
            outage::delete_old(txn, now).await?;
        }
        let served_at = self.state.is_serving.load(Ordering::Acquire).then_some(now);
        sqlite_connections::advance_counters(txn, served_at).await
    }
}

/// Runs a transaction in a savepoint, so that only this transaction is rolled back if a rule
/// refuses it.
async fn in_savepoint(
    txn: &DatabaseTransaction,
    job: &mut Job,
    now: Timestamp,
) -> Result<(), Failure> {
    let savepoint = txn.begin().await.map_err(Failure::Whole)?;
    let ended = match job.transaction.run(&savepoint, now).await {
        Ok(()) => savepoint.commit().await,
        Err(WorkError::Refused) => savepoint.rollback().await,
        Err(failed) => return Err(Failure::Single(failed)),
    };
    ended.map_err(Failure::Whole)
}

fn finish(batch: Vec<Job>, committed: &Result<(), DbErr>) {
    for job in batch {
        job.transaction.finish(committed.clone());
    }
}
