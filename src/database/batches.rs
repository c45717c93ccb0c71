//! Writes of one kind that share a transaction on PostgreSQL (group commit).
//!
//! The writes that wait while a batch runs form the next batch, so that none waits for a batch to
//! fill. A batch handles the ordinary case only, and waits for no lock. A write that is not the
//! ordinary case, or whose row is locked, is left out of it; its caller then runs a transaction of
//! its own ([`Db::write`](super::Db::write)). So does every caller of a batch that failed.
//!
//! A write whose caller stopped waiting before the commit is not done: the batch is rolled back and
//! runs again without it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::database::db::{Backend, Db};
use crate::database::job::{
    Progress, Work, aborted, in_doubt, is_connection_error, sql_state, unavailable,
};
use crate::database::postgres_writer::PooledWriter;
use crate::timestamp::Timestamp;

/// Maximum number of writes in a batch: bounds what one failure affects.
const LARGEST: usize = 64;

/// Batches that run at the same time: while one waits for the disk, the next uses the CPU.
const UNDER_WAY: usize = 2;

/// How long a batch keeps its slot. A slow database then gets more batches at a time, up to its
/// connections, and two dead connections cannot stop all writes.
const SLOT_TIME: Duration = Duration::from_millis(250);

/// How often a batch is repeated without the writes whose callers have stopped waiting. Then the
/// others are tried alone, so that callers who hang up one by one cannot delay them further.
const REPETITIONS: usize = 2;

/// Minimum time between two warnings about failed batches.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// What a batch does: a result for each input, in their order, and `None` for each that it leaves
/// out. It waits for no lock.
pub trait BatchWork<I, T>:
    for<'t> Fn(&'t DatabaseTransaction, Timestamp, Vec<&'t I>) -> Work<'t, Vec<Option<T>>, DbErr>
    + Send
    + Sync
    + 'static
{
}

impl<I, T, W> BatchWork<I, T> for W where
    W: for<'t> Fn(
            &'t DatabaseTransaction,
            Timestamp,
            Vec<&'t I>,
        ) -> Work<'t, Vec<Option<T>>, DbErr>
        + Send
        + Sync
        + 'static
{
}

/// The writes of one kind that wait for a batch.
pub struct Batches<I, T>(Option<Arc<Shared<I, T>>>);

struct Shared<I, T> {
    writer: PooledWriter,
    work: Box<dyn BatchWork<I, T>>,
    queue: Mutex<Queue<I, T>>,
}

struct Queue<I, T> {
    waiting: Vec<Item<I, T>>,
    /// The number of slots in use.
    under_way: usize,
    /// When a failed batch was last logged as a warning.
    warned: Option<Instant>,
}

struct Item<I, T> {
    input: I,
    since: Instant,
    progress: Progress,
    reply: oneshot::Sender<Result<Option<T>, DbErr>>,
}

impl<I, T> Batches<I, T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    /// Batches of `work`. On SQLite, where all transactions share commits, there are none.
    #[must_use]
    pub fn new(db: &Db, work: impl BatchWork<I, T>) -> Self {
        let Backend::Postgres(writer) = &db.backend else { return Self(None) };
        let queue = Mutex::new(Queue { waiting: Vec::new(), under_way: 0, warned: None });
        Self(Some(Arc::new(Shared { writer: writer.clone(), work: Box::new(work), queue })))
    }

    /// Runs a write in a batch. `None` if the batch left it out or failed: nothing was done then.
    ///
    /// # Errors
    /// The database does not respond, or the commit is in doubt; as [`Db::write`].
    pub async fn write(&self, input: I) -> Result<Option<T>, DbErr> {
        let Some(shared) = &self.0 else { return Ok(None) };
        if shared.writer.pool.write_obstacle().is_some() {
            return Err(unavailable());
        }
        let (reply, answer) = oneshot::channel();
        let (progress, since) = (Progress::default(), Instant::now());
        shared.push(Item { input, since, progress: progress.clone(), reply });
        start_batches(shared);
        let outcome = shared.writer.outcome(progress, answer).await;
        if outcome.is_err() {
            shared.writer.notice_overload(since.elapsed());
        }
        outcome
    }
}

impl<I, T> Shared<I, T> {
    fn lock(&self) -> MutexGuard<'_, Queue<I, T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, item: Item<I, T>) {
        let mut queue = self.lock();
        // If no batch takes them, those whose callers have stopped waiting must not accumulate.
        if queue.waiting.len() >= LARGEST {
            queue.waiting.retain(|item| !item.progress.has_caller_left());
        }
        queue.waiting.push(item);
    }

    /// The writes of the next batch.
    fn take(&self) -> Vec<Item<I, T>> {
        let mut queue = self.lock();
        queue.waiting.retain(|item| !item.progress.has_caller_left());
        let count = queue.waiting.len().min(LARGEST);
        queue.waiting.drain(..count).collect()
    }

    /// Takes a slot for a batch, if there is one and anything waits.
    fn take_slot(&self) -> bool {
        let mut queue = self.lock();
        let is_free = queue.under_way < UNDER_WAY && !queue.waiting.is_empty();
        queue.under_way += usize::from(is_free);
        is_free
    }

    fn warn(&self, error: &DbErr) {
        let mut queue = self.lock();
        if queue.warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            queue.warned = Some(Instant::now());
            tracing::warn!(%error, "a shared transaction failed; its writes are tried one by one");
        }
    }
}

/// Starts batches while slots are free and anything waits.
///
/// A batch that hangs, on a dead connection for example, goes on without its slot: its callers wait
/// for it, and what it still finds out must be recorded.
fn start_batches<I, T>(shared: &Arc<Shared<I, T>>)
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    while shared.take_slot() {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let batch = tokio::spawn(run_batch(Arc::clone(&shared)));
            drop(timeout(SLOT_TIME, batch).await);
            shared.lock().under_way -= 1;
            start_batches(&shared);
        });
    }
}

async fn run_batch<I, T>(shared: Arc<Shared<I, T>>)
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    let mut begun = begin(&shared.writer).await;
    // Only now: what arrived while the connection was awaited is part of the batch.
    let mut items = shared.take();
    if let Some(longest) = items.iter().map(|item| item.since.elapsed()).max() {
        shared.writer.notice_overload(longest);
    }
    let mut repetitions = 0;
    let result = loop {
        let result = match begun {
            Ok(txn) => attempt(&shared, txn, &items).await,
            Err(error) if is_connection_error(&error) => Attempt::Failed,
            Err(error) => Attempt::Refused(error),
        };
        match result {
            Attempt::SomeLeft if repetitions < REPETITIONS => repetitions += 1,
            result => break result,
        }
        items.retain(|item| !item.progress.has_caller_left());
        begun = begin(&shared.writer).await;
    };
    reply(items, result);
}

async fn begin(writer: &PooledWriter) -> Result<DatabaseTransaction, DbErr> {
    let asked = Instant::now();
    let begun = writer.connections().begin().await;
    writer.notice_overload(asked.elapsed());
    begun.inspect_err(|error| writer.pool.suspect(error))
}

fn reply<I, T>(items: Vec<Item<I, T>>, result: Attempt<T>) {
    let mut outcomes = match result {
        Attempt::Done(outcomes) => Ok(outcomes.into_iter()),
        Attempt::SomeLeft | Attempt::Failed => Ok(Vec::new().into_iter()),
        Attempt::Refused(error) => Err(error),
    };
    for item in items {
        let outcome = match &mut outcomes {
            Ok(outcomes) => Ok(outcomes.next().flatten()),
            Err(error) => Err(error.clone()),
        };
        // The caller may be gone.
        drop(item.reply.send(outcome));
    }
}

enum Attempt<T> {
    /// Committed; a result for each item.
    Done(Vec<Option<T>>),
    /// Rolled back: some callers stopped waiting.
    SomeLeft,
    /// Rolled back: each item is to be tried alone.
    Failed,
    /// The error for all of them.
    Refused(DbErr),
}

async fn attempt<I, T>(
    shared: &Shared<I, T>,
    txn: DatabaseTransaction,
    items: &[Item<I, T>],
) -> Attempt<T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    let writer = &shared.writer;
    if items.iter().any(|item| item.progress.has_caller_left()) || items.is_empty() {
        drop(txn.rollback().await);
        return Attempt::SomeLeft;
    }
    let began = writer.clock.now();
    let inputs = items.iter().map(|item| &item.input).collect();
    let work = AssertUnwindSafe((shared.work)(&txn, began, inputs)).catch_unwind().await;
    let outcomes = match work.unwrap_or_else(|_| Err(aborted())) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            drop(txn.rollback().await);
            return failed(shared, error);
        }
    };
    let done = items.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_some());
    let done: Vec<_> = done.map(|(item, _)| item).collect();
    if done.is_empty() {
        drop(txn.rollback().await);
        return Attempt::Failed;
    }
    if !start_commit(&done) {
        drop(txn.rollback().await);
        return Attempt::SomeLeft;
    }
    match txn.commit().await {
        Ok(()) => Attempt::Done(outcomes),
        Err(error) if is_connection_error(&error) => {
            writer.pool.suspect(&error);
            writer.record_doubt(began).await;
            Attempt::Refused(in_doubt())
        }
        // The server reports that it has not committed.
        Err(error) => {
            reopen(&done);
            shared.warn(&error);
            Attempt::Failed
        }
    }
}

fn failed<I, T>(shared: &Shared<I, T>, error: DbErr) -> Attempt<T> {
    shared.writer.pool.suspect(&error);
    match sql_state(&error).as_deref() {
        // The statement timeout would also affect each of the writes alone.
        Some("57014") => Attempt::Refused(error),
        // A lock timeout, which a transaction of its own retries.
        Some("55P03") => Attempt::Failed,
        _ => {
            shared.warn(&error);
            Attempt::Failed
        }
    }
}

/// False if a caller has stopped waiting: nothing may be committed then.
fn start_commit<I, T>(items: &[&Item<I, T>]) -> bool {
    let started = items.iter().take_while(|item| item.progress.start_commit()).count();
    if started < items.len() {
        reopen(items.get(..started).unwrap_or_default());
    }
    started == items.len()
}

fn reopen<I, T>(items: &[&Item<I, T>]) {
    for item in items {
        item.progress.reopen();
    }
}
