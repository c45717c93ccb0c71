//! One span and one log line per request to the JSON API, the OAuth endpoints and the hosted pages.
//!
//! Span and line contain the operation id. They omit the path and the query, which may contain
//! codes, tokens and ids.

use std::time::Instant;

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Request, Response, Result};
use poem_openapi::OperationId;
use tracing::{Instrument, Span, field};

use crate::http::error::response_of;
use crate::http::paths::Paths;
use crate::http::request_context::RequestContext;

/// The layer that opens the span and logs the request. It also forbids caches to store the
/// response, and completes the `Allow` header of 405 responses.
pub(super) struct Traced<E> {
    pub(super) inner: E,
    /// Finds the operation of a request that was rejected before it reached its endpoint.
    pub(super) paths: Option<Paths>,
}

impl<E: Endpoint> Endpoint for Traced<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let id = RequestContext::current().map(|context| field::display(context.id));
        let span = tracing::info_span!(
            "request",
            request.id = id,
            operation.id = field::Empty,
            http.method = request.method().as_str(),
            http.status = field::Empty,
        );
        async move {
            let started = Instant::now();
            let target = self.paths.as_ref();
            let target =
                target.map(|it| (it, request.method().clone(), Box::from(request.uri().path())));
            let answered = self.inner.call(request).await;
            let mut response = answered.map_or_else(response_of, IntoResponse::into_response);
            // Tokens and personal data must not be cached (RFC 6749 §5.1).
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, no_store);
            if response.status() == StatusCode::METHOD_NOT_ALLOWED
                && let Some(allow) = target.as_ref().and_then(|(paths, _, path)| paths.allow(path))
            {
                response.headers_mut().insert(header::ALLOW, allow);
            }

            let named = response.data::<OperationId>().map(|id| id.0);
            let by_path = || {
                let (paths, method, path): &(&Paths, Method, Box<str>) = target.as_ref()?;
                paths.operation(method, path)
            };
            let operation = named.or_else(by_path).unwrap_or("unmatched");
            let status = response.status().as_u16();
            Span::current().record("operation.id", operation);
            Span::current().record("http.status", status);
            // Rounded to microseconds, so that the number in the log line has few digits.
            let micros = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
            let duration_ms = f64::from(micros) / 1_000.0;
            tracing::info!(duration_ms, "{operation} -> {status}");
            Ok(response)
        }
        .instrument(span)
        .await
    }
}
