//! A precomputed response for GET and HEAD.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use poem::error::MethodNotAllowedError;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response, Result};

/// The header with the id of a request.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A precomputed response: the same bytes and headers for every client.
#[derive(Clone)]
pub(super) struct Document {
    body: Bytes,
    headers: HeaderMap,
}

impl Document {
    /// A document readable from any origin and cacheable for `max_age` seconds.
    pub(super) fn public(content_type: &'static str, body: Vec<u8>, max_age: u64) -> Self {
        let etag = URL_SAFE_NO_PAD.encode(openssl::sha::sha256(&body));
        let mut headers = headers_with_room();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        for (name, value) in [
            (header::CACHE_CONTROL, format!("public, max-age={max_age}")),
            (header::ETAG, format!("\"{etag}\"")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        Self { body: body.into(), headers }
    }

    pub(super) fn with_header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// An endpoint that responds with the document.
    pub(super) fn served(self) -> ReadOnly<impl Fn(&Request) -> Result<Response>> {
        ReadOnly(move |request: &Request| Ok(self.answer(request)))
    }

    pub(super) fn answer(&self, request: &Request) -> Response {
        let mut response = if self.client_has_current(request) {
            Response::builder().status(StatusCode::NOT_MODIFIED).finish()
        } else {
            Response::builder().body(self.body.clone())
        };
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// Whether the client has the current version of the document (RFC 9110 §13.1.2).
    fn client_has_current(&self, request: &Request) -> bool {
        let (Some(etag), Some(cached)) =
            (self.headers.get(header::ETAG), request.headers().get(header::IF_NONE_MATCH))
        else {
            return false;
        };
        let (Ok(etag), Ok(cached)) = (etag.to_str(), cached.to_str()) else { return false };
        cached
            .split(',')
            .map(str::trim)
            .any(|cached| cached == "*" || cached.strip_prefix("W/").unwrap_or(cached) == etag)
    }
}

/// A read-only endpoint: GET, and HEAD without the body (RFC 9110 §9.3). poem's `get` would make a
/// heap allocation per request.
pub(super) struct ReadOnly<F>(pub(super) F);

impl<F: Fn(&Request) -> Result<Response> + Send + Sync> Endpoint for ReadOnly<F> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            return Err(MethodNotAllowedError.into());
        }
        let mut response = (self.0)(&request)?;
        if is_head {
            response.set_body(());
        }
        Ok(response)
    }
}

/// Headers with placeholders for those that the service layer sets on each response. Without the
/// placeholders, each response's map would have to grow, because a cloned map has no spare
/// capacity.
fn headers_with_room() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    for name in [X_REQUEST_ID, header::X_CONTENT_TYPE_OPTIONS] {
        headers.insert(name, HeaderValue::from_static(""));
    }
    headers
}
