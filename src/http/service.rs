//! The outermost layer: adds a request id to every response, renders the errors that are not
//! responses yet, and limits the effect of a panic to one request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use poem::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use poem::{Endpoint, Error, IntoResponse, Request, Response, Result};
use uuid::Uuid;

use crate::domain::id;
use crate::http::app::App;
use crate::http::document::X_REQUEST_ID;
use crate::http::endpoint::wants_html_page;
use crate::http::error::response_of;
use crate::http::pages::layout::add_layout;
use crate::http::pages::message;
use crate::http::request_context::RequestContext;
use crate::http::request_language::Choice;
use crate::timestamp::Timestamp;

/// Maximum length of the request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// Maximum size of the header section, in bytes.
const MAX_HEADERS: usize = 16 * 1024;

/// The layer around all routes.
pub(super) struct Service<E> {
    pub(super) routes: E,
    pub(super) app: Arc<App>,
}

impl<E: Endpoint> Service<E> {
    async fn answer(&self, request: Request) -> Response {
        let wants_html_page = wants_html_page(&request);
        let refused = |error: Error| {
            // An unknown path, or a request that was rejected before its endpoint.
            if wants_html_page && !error.is_from_response() {
                let root = format!("{}/", self.app.base_path());
                return add_layout(&self.app, message::error(error.status()), &root);
            }
            response_of(error)
        };
        if let Err(status) = check_head(&request) {
            return refused(Error::from_status(status));
        }
        let answered = AssertUnwindSafe(self.routes.call(request)).catch_unwind().await;
        answered.map_or_else(
            |_| {
                tracing::error!("an endpoint panicked");
                refused(Error::from_status(StatusCode::INTERNAL_SERVER_ERROR))
            },
            |answered| answered.map_or_else(refused, IntoResponse::into_response),
        )
    }
}

impl<E: Endpoint> Endpoint for Service<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let now = self.app.clock.now();
        let id = id_of(&request, now);
        let language = Choice::of_browser(&request);
        let answer = language.scope(self.answer(request));
        let mut response = RequestContext { id, at: now }.scope(answer).await;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allow = response.headers_mut().entry(header::ALLOW);
            allow.or_insert(HeaderValue::from_static("GET, HEAD"));
        }
        add_headers(response.headers_mut(), id);
        if self.app.is_shutting_down() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// The UUID that the client sent, or a new UUID.
fn id_of(request: &Request, now: Timestamp) -> Uuid {
    let sent = request.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
    let sent = sent.filter(|id| id.len() == 36).and_then(|id| id.parse().ok());
    sent.unwrap_or_else(|| id::new(now))
}

/// DS-02: limits the size of the URL and of the header section, because hyper's limits are far
/// higher. Rejects a missing or repeated `Host`, which hyper accepts, and which two parsers could
/// read differently (RFC 9112 §3.2).
fn check_head(request: &Request) -> std::result::Result<(), StatusCode> {
    let (mut hosts, mut size) = (0, 0);
    for (name, value) in request.headers() {
        hosts += usize::from(name == header::HOST);
        size += name.as_str().len() + value.len() + 4;
    }
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET {
        return Err(StatusCode::URI_TOO_LONG);
    }
    if size > MAX_HEADERS {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    Ok(())
}

fn add_headers(headers: &mut HeaderMap, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = id.hyphenated().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(X_REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
