//! The record of failures that cost whoever causes them nothing: as many as keep the audit log useful.

use crate::domain::audit::{Event, Origin};
use crate::http::App;

/// Records a failure, unless its client, or all together, have caused too many: 20 and 600 a minute on
/// each instance. Nothing depends on it, so a database that refuses is no reason to answer otherwise.
pub(super) async fn record(app: &App, event: Event, origin: &Origin) {
    if !app.limits.admit_record(origin) {
        return;
    }
    let recorded = app.db.write((event, origin.clone()), |txn, now, (event, origin)| {
        Box::pin(async move { event.clone().record(txn, origin, now).await })
    });
    if let Err(error) = recorded.await {
        tracing::debug!(%error, "a failure is not in the audit log: {error}");
    }
}
