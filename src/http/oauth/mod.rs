//! The endpoints of the protocol: form-encoded, and described by the metadata.

mod authorize;
mod client_authentication;
pub(in crate::http) mod error;
mod introspect;
mod logout;
pub(in crate::http) mod metadata;
mod speculation;
mod token;
mod userinfo;

use poem::{EndpointExt, IntoResponse, Response};
use serde_json::Value;

use crate::http::body_limit::BodyLimit;
use crate::http::cors::Cors;
use crate::http::endpoint::{ErrorResponse, Operation};
use crate::http::oauth::error::OAuthError;
use crate::http::pages::message;

/// The operations of the protocol. CORS allows the given origins to call those that browser apps
/// need; not the authorization endpoint, which scripts must not call (RFC 9700 §2.6).
///
/// At two of them a GET has side effects, as the protocol defines; a HEAD, with which programs
/// check links, must have none.
pub(in crate::http) fn operations(cors_origins: &[String]) -> Vec<Operation> {
    const LIMIT: BodyLimit = BodyLimit::DEFAULT;
    let json: ErrorResponse = |status| OAuthError::of_status(status).into_response();
    let page: ErrorResponse = message::error;
    let with_cors = |it: Operation| Operation {
        endpoint: it.endpoint.with(Cors::new(cors_origins)).boxed(),
        ..it
    };
    vec![
        Operation::new(
            "/oauth2/authorize",
            "GET, POST",
            "authorize",
            LIMIT,
            page,
            authorize::answer,
        ),
        with_cors(Operation::new("/oauth2/token", "POST", "token", LIMIT, json, token::answer)),
        with_cors(Operation::new(
            "/oauth2/userinfo",
            "GET, HEAD, POST",
            "userinfo",
            LIMIT,
            json,
            userinfo::answer,
        )),
        Operation::new(
            "/oauth2/introspect",
            "POST",
            "introspect",
            LIMIT,
            json,
            introspect::introspect,
        ),
        with_cors(Operation::new(
            "/oauth2/revoke",
            "POST",
            "revoke",
            LIMIT,
            json,
            introspect::revoke,
        )),
        Operation::new("/oauth2/logout", "GET, POST", "endSession", LIMIT, page, logout::answer),
    ]
}

fn json_answer(value: &Value) -> Response {
    Response::builder().content_type("application/json").body(value.to_string())
}
