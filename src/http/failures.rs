//! The record of failures that cost whoever causes them nothing: as many as keep the audit log useful.

use std::time::Duration;

use tokio::time::timeout;

use crate::domain::audit::{Event, Kind, Origin};
use crate::http::app::App;

/// How long an answer waits for its record. A write that has not begun to commit by then is not done.
const PATIENCE: Duration = Duration::from_millis(250);

/// Records a failure, unless its client, or all together, have caused too many of its kind: 20 and 600 a
/// minute on each instance. Nothing depends on it, so a database that refuses or is slow is no reason to
/// answer otherwise, or late.
pub(super) async fn record(app: &App, kind: Kind, event: Event, origin: &Origin) {
    if !app.limits.admit_record(kind, origin) {
        return;
    }
    let recorded = app.db.write((event, origin.clone()), |txn, now, (event, origin)| {
        Box::pin(async move { event.clone().record(txn, origin, now).await })
    });
    match timeout(PATIENCE, recorded).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::info!(%error, "a failure is not in the audit log: {error}");
        }
        Err(_) => tracing::info!("a failure is not in the audit log: the database is slow"),
    }
}
