//! What the batches of both databases have in common: the work of a batch, and the writes that wait
//! for one. A batch is a number of writes of one kind that share their statements and their
//! transaction.

use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::database::job::{Progress, Work};
use crate::timestamp::Timestamp;

/// Maximum number of writes in a batch, and so of writes that a failure affects.
const MAX_WRITES: usize = 64;

/// The work of a batch. It returns a result for each input, in the order of the inputs, and `None`
/// for an input that it leaves out. It must not wait for a lock.
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

/// A write that waits for a batch.
pub(super) struct Item<I, T> {
    pub(super) input: I,
    /// When the write began to wait.
    pub(super) since: Instant,
    pub(super) progress: Progress,
    reply: oneshot::Sender<Outcome<T>>,
}

/// The result of a write. `None` if the batch left it out, or failed: nothing was written then.
pub(super) type Outcome<T> = Result<Option<T>, DbErr>;

impl<I, T> Item<I, T> {
    /// A write, its progress, and the receiver of its outcome.
    pub(super) fn new(input: I) -> (Self, Progress, oneshot::Receiver<Outcome<T>>) {
        let (reply, answer) = oneshot::channel();
        let progress = Progress::default();
        let item = Self { input, since: Instant::now(), progress: progress.clone(), reply };
        (item, progress, answer)
    }

    /// Sends the outcome. The caller may have stopped waiting.
    pub(super) fn finish(self, outcome: Outcome<T>) {
        drop(self.reply.send(outcome));
    }
}

/// Writes that wait for a batch, in the order of their arrival.
pub(super) struct Waiting<I, T>(Vec<Item<I, T>>);

impl<I, T> Default for Waiting<I, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<I, T> Waiting<I, T> {
    pub(super) fn push(&mut self, item: Item<I, T>) {
        // If no batch takes the items, items whose callers have stopped waiting must not
        // accumulate.
        if self.0.len() >= MAX_WRITES {
            self.remove_abandoned();
        }
        self.0.push(item);
    }

    /// Takes the writes of the next batch.
    pub(super) fn take(&mut self) -> Vec<Item<I, T>> {
        self.remove_abandoned();
        let count = self.0.len().min(MAX_WRITES);
        self.0.drain(..count).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn remove_abandoned(&mut self) {
        self.0.retain(|item| !item.progress.has_caller_left());
    }
}
