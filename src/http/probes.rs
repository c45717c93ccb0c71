//! Probes for orchestrators: is the process alive, and may it get traffic?

use std::sync::Arc;
use std::time::Duration;

use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{IntoResponse, Response, handler};

use crate::database;
use crate::http::App;

/// How long the database may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(1);

/// Alive: the process answers. It says nothing of the database, so that an outage there restarts
/// nobody.
#[handler]
pub(super) fn live() -> Response {
    answer(StatusCode::OK, r#"{"status":"alive"}"#)
}

/// Ready: the database answers, its schema is ours, and there is a key to sign with (without one,
/// nothing would have started).
#[handler]
pub(super) async fn ready(app: Data<&Arc<App>>) -> Response {
    match tokio::time::timeout(PATIENCE, database::status(&app.db)).await {
        Ok(Ok(migrations)) if migrations.iter().all(|(_, applied)| *applied) => {
            answer(StatusCode::OK, r#"{"status":"ready"}"#)
        }
        Ok(Ok(_)) => unready("the schema is older than this version"),
        Ok(Err(error)) => unready(&error.to_string()),
        Err(_) => unready("the database does not answer"),
    }
}

/// The reason is for the log: a probe's answer may be public.
fn unready(reason: &str) -> Response {
    tracing::warn!(reason, "not ready");
    answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#)
}

fn answer(status: StatusCode, body: &'static str) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(body)
        .into_response()
}
