//! Writes of one kind that share their statements and a transaction on PostgreSQL.
//!
//! If a caller stops waiting before the commit, its write must not be committed. The batch is
//! rolled back and runs again without this write.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait};
use tokio::time::{Instant, timeout};

use crate::database::batch::{BatchWork, Item, Waiting};
use crate::database::job::{aborted, in_doubt, is_connection_error, sql_state, unavailable};
use crate::database::postgres_writer::PooledWriter;

/// The number of slots. A batch starts only if a slot is free. While the batch in one slot waits
/// for the disk, the batch in the other uses the CPU.
const MAX_SLOTS: usize = 2;

/// How long a batch occupies its slot. A slower batch continues without a slot, so that two
/// connections that do not respond cannot stop all writes. If the database is slow, more than two
/// batches run at the same time, up to the number of connections.
const SLOT_TIME: Duration = Duration::from_millis(250);

/// How many times a batch is repeated without the writes whose callers have stopped waiting. After
/// that, the remaining writes are tried separately, so that callers who stop waiting one after the
/// other cannot delay them further.
const MAX_REPETITIONS: usize = 2;

/// Minimum time between two warnings about failed batches.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// The writes of one kind that wait for a batch.
pub struct PostgresBatches<I, T>(Arc<Shared<I, T>>);

struct Shared<I, T> {
    writer: PooledWriter,
    work: Box<dyn BatchWork<I, T>>,
    queue: Mutex<Queue<I, T>>,
}

struct Queue<I, T> {
    waiting: Waiting<I, T>,
    /// The number of slots in use.
    used_slots: usize,
    /// When a failed batch was last logged as a warning.
    warned_at: Option<Instant>,
}

impl<I, T> PostgresBatches<I, T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    pub(super) fn new(writer: &PooledWriter, work: impl BatchWork<I, T>) -> Self {
        let queue =
            Mutex::new(Queue { waiting: Waiting::default(), used_slots: 0, warned_at: None });
        Self(Arc::new(Shared { writer: writer.clone(), work: Box::new(work), queue }))
    }

    pub(super) async fn write(&self, input: I) -> Result<Option<T>, DbErr> {
        let shared = &self.0;
        if shared.writer.pool.write_obstacle().is_some() {
            return Err(unavailable());
        }
        let (item, progress, answer) = Item::new(input);
        let since = item.since;
        shared.lock().waiting.push(item);
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

    /// Takes a slot for a batch, if a slot is free and a write waits. Returns whether it took one.
    fn take_slot(&self) -> bool {
        let mut queue = self.lock();
        let takes_slot = queue.used_slots < MAX_SLOTS && !queue.waiting.is_empty();
        queue.used_slots += usize::from(takes_slot);
        takes_slot
    }

    fn warn(&self, error: &DbErr) {
        let mut queue = self.lock();
        if queue.warned_at.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            queue.warned_at = Some(Instant::now());
            tracing::warn!(%error, "a shared transaction failed; its writes are tried one by one");
        }
    }
}

/// Starts batches as long as slots are free and writes wait.
///
/// A batch that hangs, for example because its connection does not respond, loses its slot but
/// continues. Its callers wait for it, and an outcome in doubt must be recorded.
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
            shared.lock().used_slots -= 1;
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
    // The writes are taken only now, so that writes that arrived during the wait for the connection
    // are part of the batch.
    let mut items = shared.lock().waiting.take();
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
            Attempt::CallersLeft if repetitions < MAX_REPETITIONS => repetitions += 1,
            result => break result,
        }
        items.retain(|item| !item.progress.has_caller_left());
        begun = begin(&shared.writer).await;
    };
    reply(items, result);
}

async fn begin(writer: &PooledWriter) -> Result<DatabaseTransaction, DbErr> {
    let requested_at = Instant::now();
    let begun = writer.connections().begin().await;
    writer.notice_overload(requested_at.elapsed());
    begun.inspect_err(|error| writer.pool.suspect(error))
}

fn reply<I, T>(items: Vec<Item<I, T>>, result: Attempt<T>) {
    let mut outcomes = match result {
        Attempt::Done(outcomes) => Ok(outcomes.into_iter()),
        Attempt::CallersLeft | Attempt::Failed => Ok(Vec::new().into_iter()),
        Attempt::Refused(error) => Err(error),
    };
    for item in items {
        let outcome = match &mut outcomes {
            Ok(outcomes) => Ok(outcomes.next().flatten()),
            Err(error) => Err(error.clone()),
        };
        item.finish(outcome);
    }
}

enum Attempt<T> {
    /// Committed, with a result for each item.
    Done(Vec<Option<T>>),
    /// Rolled back, because some callers stopped waiting.
    CallersLeft,
    /// Rolled back. Each caller then runs its write in a separate transaction.
    Failed,
    /// All callers get this error.
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
        return Attempt::CallersLeft;
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
        return Attempt::CallersLeft;
    }
    match txn.commit().await {
        Ok(()) => Attempt::Done(outcomes),
        Err(error) if is_connection_error(&error) => {
            writer.pool.suspect(&error);
            writer.record_doubt(began).await;
            Attempt::Refused(in_doubt())
        }
        // The server reports that the transaction was not committed.
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
        // After the statement timeout, the writes are not tried separately, because each of them
        // would time out as well.
        Some("57014") => Attempt::Refused(error),
        // After a lock timeout, the writes are tried separately.
        Some("55P03") => Attempt::Failed,
        _ => {
            shared.warn(&error);
            Attempt::Failed
        }
    }
}

/// Marks the commit as started for every item. Returns false if a caller has stopped waiting. Then
/// no item is marked, and nothing may be committed.
fn start_commit<I, T>(items: &[&Item<I, T>]) -> bool {
    let started = items.iter().take_while(|item| item.progress.start_commit()).count();
    if started < items.len() {
        reopen(items.get(..started).unwrap_or_default());
    }
    started == items.len()
}

/// Marks the commit as not started.
fn reopen<I, T>(items: &[&Item<I, T>]) {
    for item in items {
        item.progress.reopen();
    }
}
