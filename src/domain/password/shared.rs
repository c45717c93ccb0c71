//! State shared between the callers of the pool and its threads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::domain::password::queue::Queue;
use crate::domain::password::workspace::{Tally, Workspace};

/// A job that a thread runs. It returns a closure that sends the result.
pub(super) type Job = Box<dyn FnOnce(&mut Workspace) -> Reply + Send>;

/// Sends the result.
type Reply = Box<dyn FnOnce() + Send>;

/// State shared between the handle and the threads.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
    pub(super) tally: Arc<Tally>,
}

/// The state behind the lock.
pub(super) struct State {
    pub(super) queue: Queue<Job>,
    pub(super) is_closed: bool,
}

impl Shared {
    pub(super) fn new(queue: Queue<Job>) -> Self {
        let state = Mutex::new(State { queue, is_closed: false });
        Self { state, wake: Condvar::new(), tally: Arc::default() }
    }

    /// Locks the state. No code panics while it has this lock, so the queue is consistent even if
    /// the lock is marked as poisoned.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
