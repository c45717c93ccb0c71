//! The protocol's endpoints: form-encoded, and documented by the metadata.

mod authorize;
mod credentials;
pub(in crate::http) mod error;
pub(in crate::http) mod form;
mod introspect;
pub(in crate::http) mod logout;
pub(in crate::http) mod metadata;
pub(in crate::http) mod respond;
pub(in crate::http) mod speculation;
mod surface;
mod token;
mod userinfo;

use std::sync::Arc;

use poem::endpoint::{BoxEndpoint, make};
use poem::http::StatusCode;
use poem::{
    Endpoint, EndpointExt, FromRequest, IntoResponse, Request, RequestBody, Response, Route,
};
use serde_json::Value;

use crate::domain::audit::Origin;
use crate::http::App;
use crate::http::body_limit::BodyLimit;
use crate::http::cors::Cors;
use crate::http::oauth::error::OAuthError;
use crate::http::oauth::surface::{Shape, Surface};
use crate::http::origin::ClientOrigin;
use crate::http::pages;
use crate::http::pages::page::Dress;
use crate::http::trace::Trace;

/// The paths of the protocol and the methods they answer. A GET of two of them has an effect, as the
/// protocol has it; a HEAD, with which programs look where a link leads, must have none.
pub(in crate::http) const METHODS: [(&str, &str); 6] = [
    ("/oauth2/authorize", "GET, POST"),
    ("/oauth2/token", "POST"),
    ("/oauth2/userinfo", "GET, HEAD, POST"),
    ("/oauth2/introspect", "POST"),
    ("/oauth2/revoke", "POST"),
    ("/oauth2/logout", "GET, POST"),
];

/// Adds the protocol's endpoints. Front ends of the given origins may call those that a browser
/// program has a use for; the authorization endpoint is for people, and for no script (RFC 9700
/// §2.6).
pub(in crate::http) fn add_to(routes: Route, app: &Arc<App>, origins: &[String]) -> Route {
    let json: Shape = |status| OAuthError::of_status(status).into_response();
    let page: Shape = pages::error;
    let open = |endpoint: BoxEndpoint<'static, Response>| endpoint.with(Cors::new(origins)).boxed();
    let [authorize, token, userinfo, introspect, revoke, logout] = METHODS.map(|(_, it)| it);
    let endpoints = [
        surface("authorize", authorize, page, make_answer(authorize::answer)),
        open(surface("token", token, json, make_answer(token::answer))),
        open(surface("userinfo", userinfo, json, make_answer(userinfo::answer))),
        surface("introspect", introspect, json, make_answer(introspect::introspect)),
        open(surface("revoke", revoke, json, make_answer(introspect::revoke))),
        surface("endSession", logout, page, make_answer(logout::answer)),
    ];
    METHODS.iter().zip(endpoints).fold(routes, |routes, ((path, _), endpoint)| {
        routes.at(
            *path,
            endpoint.with(Dress(Arc::clone(app))).with(Trace::default()).data(Arc::clone(app)),
        )
    })
}

/// An endpoint that always has an answer.
pub(in crate::http) fn make_answer<F, A>(answer: F) -> impl Endpoint<Output = Response> + 'static
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    make(move |request| {
        let answer = answer(request);
        async move { Ok::<_, poem::Error>(answer.await) }
    })
}

/// An endpoint behind the usual limit on bodies and in its shape.
pub(in crate::http) fn surface(
    name: &'static str,
    methods: &'static str,
    shape: Shape,
    endpoint: impl Endpoint<Output = Response> + 'static,
) -> BoxEndpoint<'static, Response> {
    surface_up_to(BodyLimit::USUAL, name, methods, shape, endpoint)
}

/// An endpoint behind a limit on bodies of its own.
pub(in crate::http) fn surface_up_to(
    limit: BodyLimit,
    name: &'static str,
    methods: &'static str,
    shape: Shape,
    endpoint: impl Endpoint<Output = Response> + 'static,
) -> BoxEndpoint<'static, Response> {
    Surface { name, methods, shape, inner: endpoint.with(limit) }.boxed()
}

/// What endpoints can reach; a request always carries it.
pub(in crate::http) fn app_of(request: &Request) -> Result<Arc<App>, OAuthError> {
    let app = request.data::<Arc<App>>().map(Arc::clone);
    app.ok_or_else(|| OAuthError::of_status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Where a request came from.
pub(in crate::http) async fn origin_of(request: &Request) -> Origin {
    let origin = ClientOrigin::from_request(request, &mut RequestBody::default()).await;
    origin.map(|ClientOrigin(origin)| origin).unwrap_or_default()
}

fn json_answer(value: &Value) -> Response {
    Response::builder().content_type("application/json").body(value.to_string())
}
