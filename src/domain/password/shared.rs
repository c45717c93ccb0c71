//! What those who ask for hashes and the threads that make them have in common.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::domain::password::queue::Queue;
use crate::domain::password::workspace::{Tally, Workspace};

/// What a thread runs; it returns what sends the answer.
pub(super) type Job = Box<dyn FnOnce(&mut Workspace) -> Reply + Send>;

/// Sends the answer.
type Reply = Box<dyn FnOnce() + Send>;

/// What the handle and the threads have in common.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
    pub(super) tally: Arc<Tally>,
}

/// What the lock is for.
pub(super) struct State {
    pub(super) queue: Queue<Job>,
    pub(super) is_closed: bool,
}

impl Shared {
    pub(super) fn new(queue: Queue<Job>) -> Self {
        let state = Mutex::new(State { queue, is_closed: false });
        Self { state, wake: Condvar::new(), tally: Arc::default() }
    }

    /// Locks the queue. Nothing panics under this lock, so a poisoned queue is a whole one.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
