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
use crate::database::job::{Progress, Submission, in_doubt, lost, unavailable};
use crate::database::outage::{self, Ended};
use crate::database::reserve::Reserve;
use crate::database::sql;
use crate::database::sqlite_batches::{Message, State, Writer};
use crate::database::sqlite_connections::Connections;
use crate::timestamp::Timestamp;

/// Capacity of the queue; beyond it the database counts as unavailable.
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

    /// Runs a transaction. After the timeout it is not done, or in doubt if its batch was
    /// begun.
    pub(super) async fn run<T, E: From<DbErr>>(&self, it: Submission<T, E>) -> Result<T, E> {
        let caller = Caller(it.job.progress.clone());
        let message = Message::Run(it.job, Instant::now());
        self.queue.try_send(message).map_err(|_| unavailable())?;
        match timeout(self.wait, it.answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(lost().into())),
            Err(_) if caller.0.abandon() => Err(unavailable().into()),
            Err(_) => Err(in_doubt().into()),
        }
    }

    /// The same without a timeout.
    pub(super) async fn run_without_timeout<T, E: From<DbErr>>(
        &self,
        it: Submission<T, E>,
    ) -> Result<T, E> {
        let message = Message::Run(it.job, Instant::now());
        self.queue.send(message).await.map_err(|_| unavailable())?;
        it.answer.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// The highest commit counter that this process has reached; 0 before it serves.
    pub(super) fn commits(&self) -> i64 {
        self.state.commits.load(Ordering::Acquire)
    }

    /// Why this writer cannot acknowledge writes now. After a failure it tests this with an extra
    /// commit.
    pub(super) async fn write_obstacle(&self) -> Option<&'static str> {
        let since = *self.state.commit_since();
        if since.is_some_and(|since| since.elapsed() > self.wait) {
            return Some("a commit is overdue");
        }
        if self.state.is_full.load(Ordering::Acquire) {
            return Some("the disk is full");
        }
        if self.state.is_failing.load(Ordering::Acquire) {
            let nothing = Submission::new(false, (), |_, _, ()| Box::pin(async { Ok(()) }));
            let attempt: Result<(), DbErr> = self.run(nothing).await;
            return attempt.is_err().then_some("commits fail");
        }
        None
    }

    /// Records that the response to a recent commit was lost: the client will retry, as under
    /// overload.
    pub(super) fn note_lost_response(&self, now: Timestamp) {
        self.state.lost_response_at.store(now.as_micros(), Ordering::Release);
    }

    /// From now on each commit is dated, so that a start after a crash knows the time of the last
    /// one. Records as an outage what a previous crash may have lost.
    pub(super) async fn begin_serving(&self) -> Result<(), DbErr> {
        let work = Submission::new(true, (), |txn, now, ()| Box::pin(record_crash(txn, now)));
        self.run_without_timeout(work).await?;
        self.state.is_serving.store(true, Ordering::Release);
        Ok(())
    }

    /// Closes after the transactions under way.
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

/// A caller that waits for a transaction. If it stops waiting, a transaction that has not begun is
/// not done: the client may have retried, and its first request must not look like token theft
/// afterwards.
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
