//! Probes for orchestrators: is the process alive, and may it get traffic?

use std::sync::Arc;
use std::time::Duration;

use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{IntoResponse, Response, handler};
use serde_json::json;

use crate::database::{self, SchemaError};
use crate::http::App;
use crate::http::origin::ClientOrigin;

/// How long the database may take to answer a probe.
const PATIENCE: Duration = Duration::from_millis(750);

/// Alive: the process answers. It says nothing of the database, so that an outage there restarts
/// nobody.
#[handler]
pub(super) fn live() -> Response {
    answer(StatusCode::OK, r#"{"status":"alive"}"#)
}

/// Ready: the database answers, its schema is ours, and there is a key to sign with (without one,
/// nothing would have started), read not too long ago.
#[handler]
pub(super) async fn ready(app: Data<&Arc<App>>) -> Response {
    if !app.ring.is_fresh() {
        return unready("the signing keys have not been looked up for too long");
    }
    match tokio::time::timeout(PATIENCE, database::status(&app.db)).await {
        Ok(Ok(migrations)) if migrations.iter().all(|(_, applied)| *applied) => {
            answer(StatusCode::OK, r#"{"status":"ready"}"#)
        }
        // A newer version has migrated beside us; its steps leave ours working for one version.
        Ok(Err(SchemaError::Newer { .. })) => answer(StatusCode::OK, r#"{"status":"ready"}"#),
        Ok(Ok(_)) => unready("the schema is older than this version"),
        Ok(Err(error)) => unready(&error.to_string()),
        Err(_) => unready("the database does not answer"),
    }
}

/// The address that the caller is limited by, for finding out whether the proxies are set right.
#[handler]
pub(super) fn client_address(ClientOrigin(origin): ClientOrigin) -> Response {
    let address = origin.address.map(|address| address.to_string());
    let seen = json!({ "address": address, "forwarded": origin.forwarded.is_some() });
    answer(StatusCode::OK, seen.to_string())
}

/// The reason is for the log: a probe's answer may be public.
fn unready(reason: &str) -> Response {
    tracing::warn!(reason, "not ready");
    answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#)
}

fn answer(status: StatusCode, body: impl Into<String>) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(body.into())
        .into_response()
}
