//! Writes of one kind that share their statements on SQLite.
//!
//! A batch is one of the transactions that share a commit (`sqlite_batches`). It takes the waiting
//! writes only when it runs, so that it includes all that arrived during the previous commit.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use sea_orm::{DatabaseTransaction, DbErr};

use crate::database::batch::{BatchWork, Item, Outcome, Waiting};
use crate::database::job::{
    AnyTransaction, Job, Progress, Work, WorkError, aborted, is_in_doubt, unavailable,
};
use crate::database::sqlite_writer::SharedWriter;
use crate::timestamp::Timestamp;

/// The writes of one kind that wait for a batch.
pub struct SqliteBatches<I, T>(Arc<Shared<I, T>>);

struct Shared<I, T> {
    writer: SharedWriter,
    work: Box<dyn BatchWork<I, T>>,
    queue: Mutex<Queue<I, T>>,
}

struct Queue<I, T> {
    waiting: Waiting<I, T>,
    /// Whether a batch will take the waiting writes.
    has_batch: bool,
}

/// The transaction of a batch.
struct Batch<I, T> {
    shared: Arc<Shared<I, T>>,
    /// The writes; `None` before the first run.
    items: Option<Vec<Item<I, T>>>,
    outcomes: Result<Vec<Option<T>>, DbErr>,
}

impl<I, T> SqliteBatches<I, T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    pub(super) fn new(writer: &SharedWriter, work: impl BatchWork<I, T>) -> Self {
        let queue = Mutex::new(Queue { waiting: Waiting::default(), has_batch: false });
        Self(Arc::new(Shared { writer: writer.clone(), work: Box::new(work), queue }))
    }

    pub(super) async fn write(&self, input: I) -> Outcome<T> {
        let (item, progress, answer) = Item::new(input);
        self.0.lock().waiting.push(item);
        submit_batch(&self.0);
        self.0.writer.outcome(progress, answer).await
    }
}

impl<I, T> Shared<I, T> {
    fn lock(&self) -> MutexGuard<'_, Queue<I, T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Submits a batch, unless there are no waiting writes or another batch will take them.
fn submit_batch<I, T>(shared: &Arc<Shared<I, T>>)
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    let mut queue = shared.lock();
    if queue.has_batch || queue.waiting.is_empty() {
        return;
    }
    let batch = Batch { shared: Arc::clone(shared), items: None, outcomes: Err(aborted()) };
    // The progress of each write decides whether the write may be committed. The progress of the
    // batch is not used.
    let (transaction, progress) = (Box::new(batch), Progress::default());
    queue.has_batch = shared.writer.submit(Job { transaction, progress, is_urgent: false });
    if !queue.has_batch {
        let refused = queue.waiting.take();
        drop(queue);
        for item in refused {
            item.finish(Err(unavailable()));
        }
    }
}

impl<I, T> Batch<I, T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    /// The writes of the batch. Their commit counts as started from now on, so a caller that stops
    /// waiting does not know whether its write was done.
    fn take(&self) -> Vec<Item<I, T>> {
        let mut queue = self.shared.lock();
        queue.has_batch = false;
        let mut items = queue.waiting.take();
        drop(queue);
        submit_batch(&self.shared);
        items.retain(|item| item.progress.start_commit());
        items
    }
}

impl<I, T> AnyTransaction for Batch<I, T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    fn run<'t>(
        &'t mut self,
        txn: &'t DatabaseTransaction,
        now: Timestamp,
    ) -> Work<'t, (), WorkError> {
        Box::pin(async move {
            if self.items.is_none() {
                self.items = Some(self.take());
            }
            let inputs: Vec<_> = self.items.iter().flatten().map(|item| &item.input).collect();
            if inputs.is_empty() {
                return Ok(());
            }
            let work = AssertUnwindSafe((self.shared.work)(txn, now, inputs)).catch_unwind().await;
            self.outcomes = work.unwrap_or_else(|_| Err(aborted()));
            match &self.outcomes {
                Ok(_) => Ok(()),
                Err(error) => Err(WorkError::Database(error.clone())),
            }
        })
    }

    fn finish(mut self: Box<Self>, committed: Result<(), DbErr>) {
        // If the transaction did not run, for example on a full disk, its writes still wait.
        let items = self.items.take().unwrap_or_else(|| self.take());
        let mut outcomes = match committed.and(self.outcomes) {
            Err(error) if is_in_doubt(&error) => Err(error),
            Ok(outcomes) => Ok(outcomes.into_iter()),
            // Nothing was written: each caller runs its write in a separate transaction.
            Err(_) => Ok(Vec::new().into_iter()),
        };
        for item in items {
            item.finish(match &mut outcomes {
                Ok(outcomes) => Ok(outcomes.next().flatten()),
                Err(error) => Err(error.clone()),
            });
        }
    }
}
