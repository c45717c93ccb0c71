//! One span and one log line per request of the JSON API.
//!
//! The operation names the endpoint; the path and the query are left out, since they may carry
//! codes, tokens and ids.

use std::time::Instant;

use poem::http::{HeaderValue, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};
use poem_openapi::OperationId;
use tracing::{Instrument, Span, field};

use crate::http::answered::Answered;
use crate::http::error::response_of;

/// Opens the span and writes the line.
pub(super) struct Trace;

/// An endpoint behind [`Trace`].
pub(super) struct Traced<E>(E);

impl<E: Endpoint> Middleware<E> for Trace {
    type Output = Traced<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Traced(inner)
    }
}

impl<E: Endpoint> Endpoint for Traced<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let id = Answered::current().map(|answered| field::display(answered.id));
        let span = tracing::info_span!(
            "request",
            request.id = id,
            operation.id = field::Empty,
            http.status = field::Empty,
        );
        async move {
            let started = Instant::now();
            let answered = self.0.call(request).await;
            let mut response = answered.map_or_else(response_of, IntoResponse::into_response);
            // Tokens and personal data: nobody on the way may keep them (RFC 6749 §5.1).
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, no_store);

            let operation = response.data::<OperationId>().map_or("unmatched", |id| id.0);
            let status = response.status().as_u16();
            Span::current().record("operation.id", operation);
            Span::current().record("http.status", status);
            let duration_ms = started.elapsed().as_secs_f64() * 1_000.0;
            tracing::info!(duration_ms, "{operation} -> {status}");
            Ok(response)
        }
        .instrument(span)
        .await
    }
}
