//! The request that is being answered.
//!
//! It is the task's and not the request's: what a request carries costs a table, and the framework
//! drops what an error carries.

use tokio::task::futures::TaskLocalFuture;
use uuid::Uuid;

use crate::timestamp::Timestamp;

tokio::task_local! {
    static ANSWERED: Answered;
}

/// What its answer, its log line and the audit log name it by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered {
    /// The UUID that the client sent in `X-Request-Id`, or a new one.
    pub(super) id: Uuid,
    /// When it came.
    pub(super) at: Timestamp,
}

impl Answered {
    /// The one that this work is for; none outside of [`Answered::by`].
    pub(super) fn current() -> Option<Self> {
        ANSWERED.try_with(|answered| *answered).ok()
    }

    /// Runs the work of answering it.
    pub(super) fn by<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        ANSWERED.scope(self, work)
    }
}
