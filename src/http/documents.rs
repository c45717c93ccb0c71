//! Documents that are bytes before anybody asks: the key set, the metadata, the API description.
//!
//! Answering one takes no database, no lock and no formatting, so it works while everything else
//! does not.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use poem::error::MethodNotAllowedError;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response, Result};

use crate::domain::keys::Snapshot;
use crate::http::App;
use crate::http::oauth::metadata;
use crate::http::{openapi, service};

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
    pub(super) fn public(content_type: &'static str, body: Vec<u8>, max_age: u64) -> Self {
        let etag = URL_SAFE_NO_PAD.encode(openssl::sha::sha256(&body));
        let mut headers = service::headers_with_room();
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

    pub(super) fn answer(&self, request: &Request) -> Response {
        let mut response = if self.is_current_at(request) {
            Response::builder().status(StatusCode::NOT_MODIFIED).finish()
        } else {
            Response::builder().body(self.body.clone())
        };
        *response.headers_mut() = self.headers.clone();
        response
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

/// What can be read and nothing else: GET, and HEAD as the same without a body (RFC 9110 §9.3). poem's `get`
/// would put each of its calls on the heap.
pub(super) struct ReadOnly<E>(pub(super) E);

impl<E: Endpoint<Output = Response>> Endpoint for ReadOnly<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            return Err(MethodNotAllowedError.into());
        }
        let mut response = self.0.call(request).await?;
        if is_head {
            response.set_body(());
        }
        Ok(response)
    }
}

impl Endpoint for Document {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        Ok(self.answer(&request))
    }
}

/// The key set (RFC 7517 §5), made anew when the ring has changed.
pub(super) struct JwksDocument {
    app: Arc<App>,
    max_age: u64,
    made: ArcSwap<(Arc<Snapshot>, Document)>,
}

impl JwksDocument {
    pub(super) fn new(app: Arc<App>, max_age: u64) -> Self {
        let made = ArcSwap::from_pointee(Self::make(app.ring.current(), max_age));
        Self { app, max_age, made }
    }

    fn make(ring: Arc<Snapshot>, max_age: u64) -> (Arc<Snapshot>, Document) {
        let document = Document::public("application/jwk-set+json", ring.jwks().to_vec(), max_age);
        (ring, document)
    }
}

impl Endpoint for JwksDocument {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let ring = self.app.ring.current();
        if !Arc::ptr_eq(&self.made.load().0, &ring) {
            self.made.store(Arc::new(Self::make(ring, self.max_age)));
        }
        let mut response = self.made.load().1.answer(&request);
        // An instance that has lost sight of the database may not know the next key: nobody may
        // keep its set for as long as the schedule counts on.
        if !self.app.ring.is_fresh() {
            let no_cache = HeaderValue::from_static("no-cache");
            response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
        }
        Ok(response)
    }
}

/// The metadata (RFC 8414 §2, OpenID Connect Discovery 1.0 §3): what works, and only that.
pub(super) fn metadata(issuer: &str, max_age: u64) -> Document {
    let metadata = metadata::document(issuer);
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
