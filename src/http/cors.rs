//! CORS: the origins that may call the JSON API and the OAuth endpoints from a browser (Fetch,
//! "CORS protocol").
//!
//! For an origin that is not listed, the response has no CORS headers, and the browser hides the
//! response from the calling page. The request is still served, since other programs can send any
//! `Origin`. poem's own middleware would reject even form posts of the hosted pages. Credentials
//! are not allowed, since tokens are sent in headers.

use std::collections::HashSet;

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Request, Response, Result};

use crate::http::error::response_of;

/// The layer that adds the CORS headers and answers preflight requests.
pub(super) struct CrossOrigin<E> {
    inner: E,
    origins: HashSet<String>,
}

impl<E> CrossOrigin<E> {
    pub(super) fn new(inner: E, origins: &[String]) -> Self {
        Self { inner, origins: origins.iter().cloned().collect() }
    }
}

impl<E: Endpoint> Endpoint for CrossOrigin<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let allowed = origin
            .filter(|origin| origin.to_str().is_ok_and(|origin| self.origins.contains(origin)));
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = if is_preflight {
            StatusCode::NO_CONTENT.into_response()
        } else {
            self.inner.call(request).await.map_or_else(response_of, IntoResponse::into_response)
        };
        add_headers(response.headers_mut(), allowed, is_preflight);
        Ok(response)
    }
}

fn add_headers(headers: &mut HeaderMap, allowed: Option<HeaderValue>, is_preflight: bool) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = allowed else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let static_headers: &[_] = if is_preflight {
        &[
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, x-request-id"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ]
    } else {
        &[(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "x-request-id, retry-after, ratelimit, ratelimit-policy",
        )]
    };
    for (name, value) in static_headers {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
