//! The in-memory state of an instance's retention time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::timestamp::Timestamp;

/// The retention time as this instance knows it. `None` before the instance serves. Clones share
/// the state.
#[derive(Clone, Default)]
pub(super) struct RetentionTime(Arc<Mutex<Option<Anchor>>>);

/// The retention time at a point in time of the monotonic clock.
#[derive(Clone, Copy)]
pub(super) struct Anchor {
    pub(super) at: Timestamp,
    pub(super) uptime: Duration,
}

impl RetentionTime {
    pub(super) fn anchor(&self) -> std::sync::MutexGuard<'_, Option<Anchor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
