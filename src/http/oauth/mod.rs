//! The OAuth 2.0 and OpenID Connect endpoints, which the metadata lists. Requests are form-encoded.

mod authorize;
mod client_authentication;
mod client_request;
pub(in crate::http) mod error;
mod introspect;
mod logout;
pub(in crate::http) mod metadata;
mod prefetch;
mod token;
mod userinfo;

use poem::{EndpointExt, IntoResponse, Request, Response};
use serde_json::Value;

use crate::http::body_limit::BodyLimit;
use crate::http::cors::CrossOrigin;
use crate::http::endpoint::{ErrorResponse, Operation};
use crate::http::oauth::error::OAuthError;
use crate::http::pages::message;

/// The operations of these endpoints. CORS allows scripts of the given origins to call the
/// operations that browser applications need. The authorization endpoint is not one of these (RFC
/// 9700 §2.6).
///
/// At the authorization and logout endpoints a GET has side effects, as the specifications define.
/// A HEAD must have none, because programs check links with it, so these two endpoints refuse it.
pub(in crate::http) fn operations(cors_origins: &[String]) -> Vec<Operation> {
    let json: ErrorResponse = |status| OAuthError::from(status).into_response();
    let page: ErrorResponse = message::error;
    let with_cors = |it: Operation| Operation {
        endpoint: CrossOrigin::new(it.endpoint, cors_origins).boxed(),
        ..it
    };
    vec![
        operation("/oauth2/authorize", "GET, POST", "authorize", page, authorize::answer),
        with_cors(operation("/oauth2/token", "POST", "token", json, token::answer)),
        with_cors(operation(
            "/oauth2/userinfo",
            "GET, HEAD, POST",
            "userinfo",
            json,
            userinfo::answer,
        )),
        operation("/oauth2/introspect", "POST", "introspect", json, introspect::introspect),
        with_cors(operation("/oauth2/revoke", "POST", "revoke", json, introspect::revoke)),
        operation("/oauth2/logout", "GET, POST", "endSession", page, logout::answer),
    ]
}

/// An operation whose handler returns a response or an error that can be rendered. `error` renders
/// errors of the framework.
fn operation<A, E>(
    path: &'static str,
    methods: &'static str,
    name: &'static str,
    error: ErrorResponse,
    handler: fn(Request) -> A,
) -> Operation
where
    A: Future<Output = Result<Response, E>> + Send + 'static,
    E: IntoResponse + 'static,
{
    Operation::new(path, methods, name, BodyLimit::DEFAULT, error, move |request| {
        let answer = handler(request);
        async move { answer.await.unwrap_or_else(E::into_response) }
    })
}

fn json_answer(value: &Value) -> Response {
    Response::builder().content_type("application/json").body(value.to_string())
}
