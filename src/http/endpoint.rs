//! The operations of the OAuth endpoints and the hosted pages: each has a name for the log, allowed
//! methods, a body limit, and a format for errors of the framework.

use std::sync::Arc;

use poem::endpoint::{BoxEndpoint, make};
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, EndpointExt, Request, Response, Result};
use poem_openapi::OperationId;

use crate::http::app::App;
use crate::http::body_limit::{BodyLimit, Limited};

/// Renders an error response for a status.
pub(super) type ErrorResponse = fn(StatusCode) -> Response;

/// A path and its endpoint.
pub(super) struct Operation {
    /// The path.
    pub(super) path: &'static str,
    /// The endpoint.
    pub(super) endpoint: BoxEndpoint<'static, Response>,
}

impl Operation {
    /// `methods` is the value of the `Allow` header, `name` is for the log, and `error` renders
    /// errors of the framework. `handler` always returns a response.
    pub(super) fn new<A: Future<Output = Response> + Send + 'static>(
        path: &'static str,
        methods: &'static str,
        name: &'static str,
        limit: BodyLimit,
        error: ErrorResponse,
        handler: impl Fn(Request) -> A + Send + Sync + 'static,
    ) -> Self {
        let inner = Limited { inner: make(handler), limit };
        let endpoint = OperationEndpoint { name, methods, error, inner }.boxed();
        Self { path, endpoint }
    }
}

/// The shared state, which a request to an operation carries.
pub(super) fn app_of(request: &Request) -> std::result::Result<Arc<App>, StatusCode> {
    let app = request.data::<Arc<App>>().map(Arc::clone);
    app.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether the request is a browser navigation, which should get an HTML page instead of JSON.
pub(super) fn wants_html_page(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let is_page = accepted.is_some_and(|it| it.contains("text/html"));
    is_page
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.uri().path().starts_with("/api/")
}

/// An endpoint that rejects all methods except `methods`, and renders all errors by `error`.
struct OperationEndpoint<E> {
    name: &'static str,
    methods: &'static str,
    error: ErrorResponse,
    inner: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for OperationEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let is_allowed = self.methods.split(", ").any(|it| it == request.method().as_str());
        let mut response = if is_allowed {
            let answered = self.inner.call(request).await;
            answered.unwrap_or_else(|error| (self.error)(error.status()))
        } else {
            let mut response = (self.error)(StatusCode::METHOD_NOT_ALLOWED);
            let methods = HeaderValue::from_static(self.methods);
            response.headers_mut().insert(header::ALLOW, methods);
            response
        };
        response.set_data(OperationId(self.name));
        Ok(response)
    }
}
