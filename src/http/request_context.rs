//! The request that is being answered.
//!
//! It is the task's and not the request's: what a request carries costs a table, and the framework
//! drops what an error carries.

use tokio::task::futures::TaskLocalFuture;
use uuid::Uuid;

use crate::timestamp::Timestamp;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// What its answer, its log line and the audit log name it by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RequestContext {
    /// The UUID that the client sent in `X-Request-Id`, or a new one.
    pub(super) id: Uuid,
    /// When it came.
    pub(super) at: Timestamp,
}

impl RequestContext {
    /// The one that this work is for; none outside of [`RequestContext::scope`].
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// Runs the work of answering it.
    pub(super) fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, work)
    }
}
