//! A body limit that counts the received bytes, with or without `Content-Length`.
//!
//! poem's own `SizeLimit` answers 411 to every request without `Content-Length`, GET included, and
//! does not limit chunked bodies.

use poem::error::ReadBodyError;
use poem::http::{StatusCode, header};
use poem::{Body, Endpoint, Error, Request, Result};

/// Rejects bodies above this many bytes with 413 before they are parsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(usize);

impl BodyLimit {
    /// The default for endpoints.
    pub(super) const DEFAULT: Self = Self(16 * 1024);

    /// For forms with an encrypted authorization request: the default plus 40 KiB. The request has
    /// at most 4,096 bytes each for `state` and `nonce` (twice that in JSON if all characters are
    /// backslashes), 4,096 for the scope, and 2,000 each for an audience and a redirect URI.
    /// base64url adds a third.
    pub(super) const SEALED_REQUEST: Self = Self(Self::DEFAULT.0 + 40 * 1024);

    /// For the form of a profile: the default plus 160 KiB. A profile has at most 11 texts of 255
    /// characters, 2 of 1,024, and 3 URLs of 2,048. Each character takes at most 12 bytes in a form
    /// (four bytes of UTF-8, each as `%XX`; 3 bytes in a URL). The form has each value twice: as it
    /// was shown, and as it is submitted.
    pub(super) const PROFILE_FORM: Self = Self(Self::DEFAULT.0 + 160 * 1024);
}

/// An endpoint whose request bodies are limited.
pub(super) struct Limited<E> {
    pub(super) inner: E,
    pub(super) limit: BodyLimit,
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<Self::Output> {
        let BodyLimit(limit) = self.limit;
        let too_large = || Error::from_status(StatusCode::PAYLOAD_TOO_LARGE);
        let announced = request.header(header::CONTENT_LENGTH).map(str::parse::<usize>);
        if announced.is_some_and(|length| length.is_ok_and(|length| length > limit)) {
            return Err(too_large());
        }
        let body = request.take_body().into_bytes_limit(limit).await;
        let body = body.map_err(|error| match error {
            ReadBodyError::PayloadTooLarge => too_large(),
            _ => Error::from_status(StatusCode::BAD_REQUEST),
        })?;
        request.set_body(Body::from_bytes(body));
        self.inner.call(request).await
    }
}
