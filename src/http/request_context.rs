//! The context of the request in progress.
//!
//! It is stored in a task-local variable, because request extensions allocate a table, and because
//! the framework drops the extensions of an error.

use tokio::task::futures::TaskLocalFuture;
use uuid::Uuid;

use crate::timestamp::Timestamp;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Identifies the request in its response, in the log and in the audit log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RequestContext {
    /// The UUID that the client sent in `X-Request-Id`, or a new UUID.
    pub(super) id: Uuid,
    /// When the request was received.
    pub(super) at: Timestamp,
}

impl RequestContext {
    /// The request of the current task; `None` outside of [`RequestContext::scope`].
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// Runs `work` as part of this request.
    pub(super) fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, work)
    }
}
