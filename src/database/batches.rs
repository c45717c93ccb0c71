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

use futures_util::FutureExt;
use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::database::db::{Backend, Db};
use crate::database::job::{
    Progress, Work, in_doubt, is_connection_error, lost, sql_state, unavailable,
};
use crate::database::postgres_writer::PooledWriter;
use crate::timestamp::Timestamp;

/// Maximum number of writes in a batch: bounds what one failure affects.
const LARGEST: usize = 64;

/// Batches that run at the same time: while one waits for the disk, the next uses the CPU.
const UNDER_WAY: usize = 2;

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
    /// The number of tasks that run batches.
    under_way: usize,
}

struct Item<I, T> {
    input: I,
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
        let queue = Mutex::new(Queue { waiting: Vec::new(), under_way: 0 });
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
        let progress = Progress::default();
        let starts = {
            let mut queue = shared.lock();
            queue.waiting.push(Item { input, progress: progress.clone(), reply });
            let starts = queue.under_way < UNDER_WAY;
            queue.under_way += usize::from(starts);
            starts
        };
        if starts {
            tokio::spawn(run_batches(Arc::clone(shared)));
        }
        shared.writer.outcome(progress, answer).await
    }
}

impl<I, T> Shared<I, T> {
    fn lock(&self) -> MutexGuard<'_, Queue<I, T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch. `None` if nothing waits; the task that asked then ends.
    fn take(&self) -> Option<Vec<Item<I, T>>> {
        let mut queue = self.lock();
        queue.waiting.retain(|item| !item.progress.is_left());
        if queue.waiting.is_empty() {
            queue.under_way -= 1;
            return None;
        }
        let count = queue.waiting.len().min(LARGEST);
        Some(queue.waiting.drain(..count).collect())
    }
}

async fn run_batches<I, T>(shared: Arc<Shared<I, T>>)
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    while let Some(mut items) = shared.take() {
        let result = loop {
            match attempt(&shared, &items).await {
                Attempt::SomeLeft => items.retain(|item| !item.progress.is_left()),
                result => break result,
            }
        };
        reply(items, result);
    }
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

async fn attempt<I, T>(shared: &Shared<I, T>, items: &[Item<I, T>]) -> Attempt<T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    if items.is_empty() {
        return Attempt::Failed;
    }
    let writer = &shared.writer;
    let asked = Instant::now();
    let txn = writer.connections().begin().await;
    writer.notice_overload(asked.elapsed());
    let txn = match txn {
        Ok(txn) => txn,
        Err(error) => {
            writer.pool.suspect(&error);
            return if is_connection_error(&error) {
                Attempt::Failed
            } else {
                Attempt::Refused(error)
            };
        }
    };
    if items.iter().any(|item| item.progress.is_left()) {
        drop(txn.rollback().await);
        return Attempt::SomeLeft;
    }
    let began = writer.clock.now();
    let inputs = items.iter().map(|item| &item.input).collect();
    let work = AssertUnwindSafe((shared.work)(&txn, began, inputs)).catch_unwind().await;
    let outcomes = match work.unwrap_or_else(|_| Err(lost())) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            writer.pool.suspect(&error);
            drop(txn.rollback().await);
            // A timeout would also affect each of the writes alone, and their callers have waited.
            if matches!(sql_state(&error).as_deref(), Some("55P03" | "57014")) {
                return Attempt::Refused(error);
            }
            tracing::debug!(%error, "a batch failed; its writes are tried one by one");
            return Attempt::Failed;
        }
    };
    if !start_commit(items) {
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
        Err(_) => {
            reopen(items);
            Attempt::Failed
        }
    }
}

/// False if a caller has stopped waiting: nothing may be committed then.
fn start_commit<I, T>(items: &[Item<I, T>]) -> bool {
    let started = items.iter().take_while(|item| item.progress.start_commit()).count();
    if started < items.len() {
        reopen(items.iter().take(started));
    }
    started == items.len()
}

fn reopen<'i, I: 'i, T: 'i>(items: impl IntoIterator<Item = &'i Item<I, T>>) {
    for item in items {
        item.progress.reopen();
    }
}
