//! The single SQLite writer. Transactions queue for it, and those that wait at the same time share
//! a commit (`sqlite_batches`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use crate::clock::Clock;
use crate::database::job::{Job, Progress, Submission, aborted, in_doubt, unavailable};
use crate::database::outage::{self, Ended};
use crate::database::reserve::Reserve;
use crate::database::sql;
use crate::database::sqlite_batches::{Message, State, Writer};
use crate::database::sqlite_connections::Connections;
use crate::timestamp::Timestamp;

/// Capacity of the queue. While it is full, transactions are refused, as if the database were
/// unavailable.
const QUEUE: usize = 4096;

/// The queue of transactions, and the state of the connection that commits them.
#[derive(Clone)]
pub(super) struct SharedWriter {
    queue: mpsc::Sender<Message>,
    state: Arc<State>,
    wait: Duration,
}

impl SharedWriter {
    /// Opens the connections and starts the writer.
    pub(super) async fn start(
        url: &str,
        file: &Path,
        wait: Duration,
        clock: Clock,
    ) -> Result<Self, DbErr> {
        let connections = Connections::open(url, wait).await?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let state = Arc::new(State::default());
        let writer =
            Writer::new(connections, clock, Arc::clone(&state), wait, Reserve::beside(file));
        tokio::spawn(writer.work(messages));
        Ok(Self { queue, state, wait })
    }

    /// Runs a transaction. After the timeout, the result is "not done", or "in doubt" if its batch
    /// has begun.
    pub(super) async fn run<T, E: From<DbErr>>(
        &self,
        submission: Submission<T, E>,
    ) -> Result<T, E> {
        let Submission { job, answer } = submission;
        let progress = job.progress.clone();
        if !self.submit(job) {
            return Err(unavailable().into());
        }
        self.outcome(progress, answer).await
    }

    /// Queues a transaction. Returns false if the queue is full or closed.
    pub(super) fn submit(&self, job: Job) -> bool {
        self.queue.try_send(Message::Run(job, Instant::now())).is_ok()
    }

    /// Waits for the outcome of a transaction, until the timeout.
    pub(super) async fn outcome<T, E: From<DbErr>>(
        &self,
        progress: Progress,
        answer: oneshot::Receiver<Result<T, E>>,
    ) -> Result<T, E> {
        let caller = Caller(progress);
        match timeout(self.wait, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(aborted().into())),
            Err(_) if caller.0.abandon() => Err(unavailable().into()),
            Err(_) => Err(in_doubt().into()),
        }
    }

    /// As [`run`](Self::run), without a timeout.
    pub(super) async fn run_without_timeout<T, E: From<DbErr>>(
        &self,
        submission: Submission<T, E>,
    ) -> Result<T, E> {
        let Submission { job, answer } = submission;
        let message = Message::Run(job, Instant::now());
        self.queue.send(message).await.map_err(|_| unavailable())?;
        answer.await.unwrap_or_else(|_| Err(aborted().into()))
    }

    /// The highest commit counter that this process has reached; 0 before it serves.
    pub(super) fn commits(&self) -> i64 {
        self.state.commits.load(Ordering::Acquire)
    }

    /// Why this writer cannot acknowledge writes now, if there is a reason. After a failed commit,
    /// an empty transaction tests whether commits succeed again.
    pub(super) async fn write_obstacle(&self) -> Option<&'static str> {
        let since = *self.state.commit_since();
        if since.is_some_and(|since| since.elapsed() > self.wait) {
            return Some("a commit is overdue");
        }
        if self.state.is_full.load(Ordering::Acquire) {
            return Some("the disk is full");
        }
        if self.state.is_failing.load(Ordering::Acquire) {
            let empty = Submission::new(false, (), |_, _, ()| Box::pin(async { Ok(()) }));
            let attempt: Result<(), DbErr> = self.run(empty).await;
            return attempt.is_err().then_some("commits fail");
        }
        None
    }

    /// Records that the response to a recent commit was lost, as overload, because the client will
    /// retry.
    pub(super) fn note_lost_response(&self, now: Timestamp) {
        self.state.lost_response_at.store(now.as_micros(), Ordering::Release);
    }

    /// Makes every commit from now on store its time, so that a start after a crash knows the time
    /// of the last commit. If the previous server crashed, records an outage since its last commit.
    pub(super) async fn begin_serving(&self) -> Result<(), DbErr> {
        let work = Submission::new(true, (), |txn, now, ()| Box::pin(record_crash(txn, now)));
        self.run_without_timeout(work).await?;
        self.state.is_serving.store(true, Ordering::Release);
        Ok(())
    }

    /// Closes the writer after the transactions under way.
    pub(super) async fn close(&self) {
        if self.state.is_serving.swap(false, Ordering::AcqRel) {
            let work = Submission::new(true, (), |txn, _, ()| Box::pin(record_clean_stop(txn)));
            if let Err(error) = self.run(work).await {
                tracing::warn!(%error, "the clean stop could not be recorded");
            }
        }
        let (closed, is_closed) = oneshot::channel();
        if self.queue.send(Message::Close(closed)).await.is_ok() {
            drop(is_closed.await);
        }
    }
}

/// A caller that waits for a transaction. If it stops waiting before the transaction has begun, the
/// transaction must not run: the client may have retried, and its first request must not look like
/// token theft afterwards.
struct Caller(Progress);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

async fn record_crash(txn: &DatabaseTransaction, now: Timestamp) -> Result<(), DbErr> {
    let sql = "SELECT served_at FROM database_state WHERE served_at IS NOT NULL";
    let last_commit: Option<Timestamp> = sql::first(txn, sql, []).await?;
    let Some(last_commit) = last_commit else { return Ok(()) };
    outage::record(txn, Uuid::nil(), last_commit.min(now), Ended::Now, now).await?;
    record_clean_stop(txn).await
}

async fn record_clean_stop(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    sql::execute(txn, "UPDATE database_state SET served_at = NULL", []).await.map(drop)
}
