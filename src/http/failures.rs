//! Audit records of failures that are free to cause, limited to keep the audit log useful.

use std::time::Duration;

use tokio::time::timeout;

use crate::domain::audit::{Event, Kind, Origin};
use crate::http::app::App;

/// Timeout of a record. A write that has not begun to commit by then is cancelled.
const RECORD_TIMEOUT: Duration = Duration::from_millis(250);

/// Records a failure, unless its client, or all clients together, exceed the limit for its kind: 20
/// and 600 per minute on each instance. Best effort: if the database fails or is slow, the response
/// is neither changed nor delayed.
pub(super) async fn record(app: &App, kind: Kind, event: Event, origin: &Origin) {
    if !app.limits.admit_record(kind, origin) {
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
