//! Precomputed documents: the key set, the metadata, the API description.
//!
//! They are served without a database query and without waiting for a lock, so they are available
//! even if all other endpoints fail. Only the key set is rendered again, when the key ring changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use crate::domain::keys::Snapshot;
use crate::domain::sign_up_policy::SignUpPolicy;
use crate::http::app::App;
use crate::http::document::Document;
use crate::http::oauth::metadata;
use crate::http::openapi;

/// The Content-Security-Policy of the page at `/docs`, the only page with inline script and style.
const DOCS_PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// The key set (RFC 7517 §5), rendered again when the key ring has changed.
pub(super) struct JwksDocument {
    app: Arc<App>,
    max_age: u64,
    rendered: ArcSwap<(Arc<Snapshot>, Document)>,
}

impl JwksDocument {
    pub(super) fn new(app: Arc<App>, max_age: u64) -> Self {
        let rendered = ArcSwap::from_pointee(Self::render(app.ring.current(), max_age));
        Self { app, max_age, rendered }
    }

    fn render(ring: Arc<Snapshot>, max_age: u64) -> (Arc<Snapshot>, Document) {
        let document = Document::public("application/jwk-set+json", ring.jwks.clone(), max_age);
        (ring, document)
    }

    pub(super) fn answer(&self, request: &Request) -> Response {
        let ring = self.app.ring.current();
        if !Arc::ptr_eq(&self.rendered.load().0, &ring) {
            self.rendered.store(Arc::new(Self::render(ring, self.max_age)));
        }
        let mut response = self.rendered.load().1.answer(request);
        // An instance without access to the database may lack the next key: its key set must
        // not be cached for the time that the rotation schedule assumes.
        if !self.app.ring.is_fresh() {
            let no_cache = HeaderValue::from_static("no-cache");
            response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
        }
        response
    }
}

/// The metadata (RFC 8414 §2, OpenID Connect Discovery 1.0 §3): only what is supported.
pub(super) fn metadata(issuer: &str, policy: &SignUpPolicy, max_age: u64) -> Document {
    let metadata = metadata::document(issuer, policy);
    Document::public("application/json", metadata.to_string().into_bytes(), max_age)
}

/// The OpenAPI document of the JSON API.
pub(super) fn openapi(document: &str) -> Document {
    Document::public("application/json", document.as_bytes().to_vec(), 60)
}

/// The API description as an HTML page. It loads nothing from other origins.
pub(super) fn docs_page(document: &str) -> Document {
    let page = openapi::docs_page(document).into_bytes();
    Document::public("text/html; charset=utf-8", page, 60)
        .with_header(header::CONTENT_SECURITY_POLICY, DOCS_PAGE_POLICY)
        .with_header(header::REFERRER_POLICY, "no-referrer")
}
