//! Documents that are bytes before anybody asks: the key set, the metadata, the API description.
//!
//! Answering one takes no database, no lock and no formatting, so it works while everything else
//! does not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Endpoint, Request, Response, Result};
use serde_json::json;

use crate::domain::keys::KeyRing;
use crate::http::openapi;

/// What the page at `/docs` needs and nothing else gets: it carries its script and style inline.
const DOCS_PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// A finished answer: the same bytes and headers for everybody.
#[derive(Clone)]
pub(super) struct Document {
    body: Bytes,
    headers: HeaderMap,
}

impl Document {
    /// A document that anybody may read from any origin and keep for `max_age` seconds.
    fn public(content_type: &'static str, body: Vec<u8>, max_age: u64) -> Self {
        let etag = URL_SAFE_NO_PAD.encode(openssl::sha::sha256(&body));
        let mut headers = HeaderMap::new();
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

    fn with_header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Whether the client has these very bytes (RFC 9110 §13.1.2).
    fn is_current_at(&self, request: &Request) -> bool {
        let (Some(etag), Some(held)) =
            (self.headers.get(header::ETAG), request.headers().get(header::IF_NONE_MATCH))
        else {
            return false;
        };
        let (Ok(etag), Ok(held)) = (etag.to_str(), held.to_str()) else { return false };
        held.split(',')
            .map(str::trim)
            .any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == etag)
    }
}

impl Endpoint for Document {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let mut response = if self.is_current_at(&request) {
            Response::builder().status(StatusCode::NOT_MODIFIED).finish()
        } else {
            Response::builder().body(self.body.clone())
        };
        *response.headers_mut() = self.headers.clone();
        Ok(response)
    }
}

/// The key set (RFC 7517 §5).
pub(super) fn jwks(ring: &KeyRing, max_age: u64) -> Document {
    Document::public("application/jwk-set+json", ring.jwks().to_vec(), max_age)
}

/// The metadata (RFC 8414 §2, OpenID Connect Discovery 1.0 §3): what works, and only that.
pub(super) fn metadata(issuer: &str, max_age: u64) -> Document {
    let metadata = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "service_documentation": format!("{issuer}/docs"),
    });
    Document::public("application/json", metadata.to_string().into_bytes(), max_age)
}

/// The description of the JSON API.
pub(super) fn openapi(document: &str) -> Document {
    Document::public("application/json", document.as_bytes().to_vec(), 60)
}

/// The same for people. It loads nothing from elsewhere.
pub(super) fn docs_page(document: &str) -> Document {
    let page = openapi::docs_page(document).into_bytes();
    Document::public("text/html; charset=utf-8", page, 60)
        .with_header(header::CONTENT_SECURITY_POLICY, DOCS_PAGE_POLICY)
        .with_header(header::REFERRER_POLICY, "no-referrer")
}
