//! Probes for orchestrators: is the process alive, and may it get traffic?

use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{IntoResponse, Request, Response, handler};
use serde_json::json;

use crate::http::App;
use crate::http::origin::{ClientOrigin, FORWARDED_FOR};
use crate::telemetry;

/// Alive: the process answers. It says nothing of the database, so that an outage there restarts
/// nobody.
#[handler]
pub(super) fn live() -> Response {
    answer(StatusCode::OK, r#"{"status":"alive"}"#)
}

/// Ready, or not; the reason is for the log, since the answer may be public.
#[handler]
pub(super) async fn ready(app: Data<&Arc<App>>) -> Response {
    match app.readiness.of(&app).await {
        Ok(()) => readiness(StatusCode::OK, "ready"),
        Err(reason) => {
            tracing::warn!(reason, "not ready");
            readiness(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    }
}

/// Lost log lines are told here, since the log cannot; they make no instance unready.
fn readiness(status: StatusCode, word: &str) -> Response {
    let body = json!({ "status": word, "lost_log_lines": telemetry::lost_lines() });
    answer(status, body.to_string())
}

/// The address that the caller is limited by, for finding out whether the proxies are set right.
#[handler]
pub(super) fn client_address(request: &Request, ClientOrigin(origin): ClientOrigin) -> Response {
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
