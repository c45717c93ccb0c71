//! Audit records of failures that cost a client nothing to cause. The rate of these records is
//! limited, so that the audit log stays readable.

use std::time::Duration;

use tokio::time::timeout;

use crate::domain::audit::{Event, Origin};
use crate::http::app::App;
use crate::http::rate_limit::FreeFailure;

/// Maximum time to write a record. A write that has not begun to commit by then is cancelled.
const RECORD_TIMEOUT: Duration = Duration::from_millis(250);

/// Records a failure. Each instance records at most 20 failures of a kind per minute for one client
/// address, and 600 of a kind per minute for all. If the database fails or is slow, the record is
/// omitted and the response stays the same.
///
/// `event` is the [`FreeFailure::event`] with its details.
pub(super) async fn record(app: &App, failure: FreeFailure, event: Event, origin: &Origin) {
    if !app.limits.admit_record(failure, origin) {
        return;
    }
    let recorded = app.db.write((event, origin.clone()), |txn, now, (event, origin)| {
        Box::pin(async move { event.clone().record(txn, origin, now).await })
    });
    match timeout(RECORD_TIMEOUT, recorded).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::info!(%error, "a failure is not in the audit log: {error}");
        }
        Err(_) => tracing::info!("a failure is not in the audit log: the database is slow"),
    }
}
