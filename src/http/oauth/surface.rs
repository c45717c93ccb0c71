//! What stands between the layers and an endpoint of the protocol or a page: its name for the log,
//! its methods, and the shape of what goes wrong.

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Error, IntoResponse, Request, Response, Result};
use poem_openapi::OperationId;

/// Writes an answer for a bare status.
pub(in crate::http) type Shape = fn(StatusCode) -> Response;

/// An endpoint with a name and a shape.
pub(in crate::http) struct Surface<E> {
    /// For the log and the metrics.
    pub(in crate::http) name: &'static str,
    /// As `Allow` lists them.
    pub(in crate::http) methods: &'static str,
    /// For errors that no endpoint made.
    pub(in crate::http) shape: Shape,
    /// The endpoint.
    pub(in crate::http) inner: E,
}

impl<E: Endpoint> Surface<E> {
    async fn answer(&self, request: Request) -> Response {
        if !self.answers(request.method()) {
            let mut response = (self.shape)(StatusCode::METHOD_NOT_ALLOWED);
            let methods = HeaderValue::from_static(self.methods);
            response.headers_mut().insert(header::ALLOW, methods);
            return response;
        }
        let answered = self.inner.call(request).await;
        answered
            .map_or_else(|error: Error| (self.shape)(error.status()), IntoResponse::into_response)
    }

    fn answers(&self, method: &Method) -> bool {
        self.methods.split(", ").any(|one| one == method.as_str())
    }
}

impl<E: Endpoint> Endpoint for Surface<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let mut response = self.answer(request).await;
        response.set_data(OperationId(self.name));
        Ok(response)
    }
}
