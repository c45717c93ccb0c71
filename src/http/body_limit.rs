//! A limit on bodies, counted while they arrive: a length that is announced or not.
//!
//! poem's own `SizeLimit` answers 411 to every request without `Content-Length`, GET included, and
//! lets chunked bodies through.

use poem::error::ReadBodyError;
use poem::http::{StatusCode, header};
use poem::{Body, Endpoint, Error, Middleware, Request, Result};

/// Largest body of the JSON API, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Refuses larger bodies with 413 before anything reads them.
pub(super) struct BodyLimit;

/// An endpoint behind [`BodyLimit`].
pub(super) struct Limited<E>(E);

impl<E: Endpoint> Middleware<E> for BodyLimit {
    type Output = Limited<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Limited(inner)
    }
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<Self::Output> {
        let too_large = || Error::from_status(StatusCode::PAYLOAD_TOO_LARGE);
        let announced = request.header(header::CONTENT_LENGTH).map(str::parse::<usize>);
        if announced.is_some_and(|length| length.is_ok_and(|length| length > MAX_BODY)) {
            return Err(too_large());
        }
        let body = request.take_body().into_bytes_limit(MAX_BODY).await;
        let body = body.map_err(|error| match error {
            ReadBodyError::PayloadTooLarge => too_large(),
            _ => Error::from_status(StatusCode::BAD_REQUEST),
        })?;
        request.set_body(Body::from_bytes(body));
        self.0.call(request).await
    }
}
