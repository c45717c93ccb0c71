//! Probes: liveness and readiness for orchestrators, and the client address for `signet doctor`.

use std::sync::Arc;
use std::time::Duration;

use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{IntoResponse, Request, Response, handler};
use serde_json::json;
use tokio::time::timeout;

use crate::database::{self, SchemaError};
use crate::http::app::App;
use crate::http::origin::{self, FORWARDED_FOR};
use crate::http::readiness::Finding;
use crate::telemetry;

/// Timeout of the database check.
const CHECK_TIMEOUT: Duration = Duration::from_millis(600);

/// Liveness: the process responds. The database is not checked, so that an outage of the database
/// does not cause restarts of instances.
#[handler]
pub(super) fn live() -> Response {
    answer(StatusCode::OK, r#"{"status":"alive"}"#)
}

/// Readiness. The reason for a failure is only logged, since the response may be public.
#[handler]
pub(super) async fn ready(app: Data<&Arc<App>>) -> Response {
    match check_readiness(&app).await {
        Ok(()) => readiness_response(StatusCode::OK, "ready"),
        Err(reason) => {
            tracing::warn!(reason, "not ready");
            readiness_response(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    }
}

/// An instance is ready if it is not shutting down, if the database responds and has the current
/// schema, and if the signing keys and status lists were read recently.
async fn check_readiness(app: &Arc<App>) -> Finding {
    if app.is_shutting_down() {
        return Err("this instance is stopping".to_owned());
    }
    if !app.ring.is_fresh() {
        return Err("the signing keys were not reloaded in time".to_owned());
    }
    if !app.status_lists.is_fresh() {
        return Err("the ended sessions were not reloaded in time".to_owned());
    }
    let app = Arc::clone(app);
    let checked = Arc::clone(&app);
    checked.readiness.shared(async move { check_database(&app).await }).await
}

async fn check_database(app: &App) -> Finding {
    if let Some(write_obstacle) = app.db.write_obstacle().await {
        return Err(write_obstacle.to_owned());
    }
    let status = timeout(CHECK_TIMEOUT, database::status(&app.db)).await;
    match status.map_err(|_| "the database does not respond".to_owned())? {
        Ok(migrations) if migrations.iter().all(|(is_applied, _)| *is_applied) => Ok(()),
        // A newer version has migrated the schema. This version can still use that schema.
        Err(SchemaError::Newer { .. }) => Ok(()),
        Ok(_) => Err("the schema is older than this version".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The response of the readiness probe. It also contains the number of lost log lines, since the
/// log itself may not be able to report them. Lost log lines do not affect readiness.
fn readiness_response(status: StatusCode, word: &str) -> Response {
    let body = json!({ "status": word, "lost_log_lines": telemetry::lost_lines() });
    answer(status, body.to_string())
}

/// Tells callers the client address by which they are rate limited, so that `signet doctor` can
/// check the configuration of proxies.
#[handler]
pub(super) fn client_address(request: &Request) -> Response {
    let origin = origin::of(request);
    let address = origin.address.map(|address| address.to_string());
    let is_forwarded = origin.forwarded.is_some();
    let mut sent = request.headers().get_all(FORWARDED_FOR).iter();
    let is_ignored = !is_forwarded && sent.any(|field| !field.is_empty());
    let seen = json!({
        "address": address,
        "forwarded": is_forwarded,
        "ignored_forwarding": is_ignored,
    });
    answer(StatusCode::OK, seen.to_string())
}

fn answer(status: StatusCode, body: impl Into<String>) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(body.into())
        .into_response()
}
