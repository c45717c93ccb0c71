//! The wire format: paths, bodies, headers, statuses. The rules are in `domain`.
//!
//! The outermost layer (`service`) adds the request id, limits the head of the request, handles
//! panics and renders errors. Requests to the JSON API then pass logging (`trace`), CORS and the
//! body limit. Finally an endpoint handles the request: it checks the attempt limits and calls
//! `domain`.

mod api;
mod app;
mod audited_failures;
mod bearer;
mod body_limit;
mod branding;
mod browser_cookie;
mod cors;
mod document;
mod documents;
mod endpoint;
mod error;
mod form;
mod json;
mod oauth;
mod openapi;
mod origin;
mod pages;
mod paths;
mod probes;
mod rate_limit;
mod readiness;
mod redirect;
mod request_context;
mod request_language;
mod service;
mod status_lists;
mod texts;
mod trace;
mod user_agent;

use std::future::ready;
use std::sync::Arc;

use poem::{Endpoint, EndpointExt, IntoEndpoint, Request, Response, Route, get};

use crate::config::Config;
use crate::http::body_limit::{BodyLimit, Limited};
use crate::http::cors::CrossOrigin;
use crate::http::document::ReadOnly;
use crate::http::pages::layout::add_layout;
use crate::http::paths::Paths;
use crate::http::service::Service;
use crate::http::status_lists::StatusDocuments;
use crate::http::trace::Traced;

pub use crate::http::app::App;
pub use crate::http::branding::{Branding, LogoError};
pub use crate::http::browser_cookie::BrowserCookie;
pub use crate::http::openapi::document as openapi_document;
pub use crate::http::rate_limit::{Limits, client as client_of};
pub use crate::http::readiness::Readiness;
pub use crate::http::user_agent::describe_browser;

/// All routes, with the layers around them.
#[must_use]
pub fn endpoint(app: Arc<App>, config: &Config) -> impl Endpoint<Output = Response> + 'static {
    let document = openapi::document(&app.base_path());
    let cors_origins = &config.service.cors_origins;
    let jwks_max_age = config.keys.jwks_max_age_seconds;
    let jwks = documents::JwksDocument::new(Arc::clone(&app), jwks_max_age);
    let lists = Arc::new(StatusDocuments::new(Arc::clone(&app)));
    let lists_to_aggregate = Arc::clone(&lists);
    let metadata = documents::metadata(&app.issuer_url, &app.sign_up_policy, jwks_max_age);

    let api = Limited { inner: openapi::service().into_endpoint(), limit: BodyLimit::DEFAULT };
    let api = CrossOrigin::new(api, cors_origins);
    let api = Traced { inner: api, paths: Some(Paths::new(&document)) }.data(Arc::clone(&app));
    // The endpoints of precomputed documents own what they need, so their requests do not carry the
    // shared state (`App`).
    let routes = Route::new()
        .at("/.well-known/jwks.json", ReadOnly(move |request: &Request| Ok(jwks.answer(request))))
        .at("/.well-known/openid-configuration", metadata.clone().served())
        .at("/.well-known/oauth-authorization-server", metadata.served())
        .at(
            "/status",
            ReadOnly(move |request: &Request| Ok(lists_to_aggregate.aggregation(request))),
        )
        .at("/status/:list", ReadOnly(move |request: &Request| lists.list(request)))
        .at("/openapi.json", documents::openapi(&document).served())
        .at("/docs", documents::docs_page(&document).served())
        .at("/livez", get(probes::live))
        .at("/readyz", get(probes::ready).data(Arc::clone(&app)))
        .at("/client-address", get(probes::client_address).data(Arc::clone(&app)))
        .nest_no_strip("/api", api);
    let routes = pages::add_assets_and_redirects(routes, &app);
    let operations = oauth::operations(cors_origins).into_iter().chain(pages::operations());
    let routes = operations.fold(routes, |routes, it| {
        let branded = Arc::clone(&app);
        let endpoint = it.endpoint.map(move |response| ready(add_layout(&branded, response, "")));
        let endpoint = Traced { inner: endpoint, paths: None };
        routes.at(it.path, endpoint.data(Arc::clone(&app)))
    });
    Service { routes, app }
}

/// The routes of a test, in the service layer.
#[cfg(test)]
pub(crate) fn with_service_layer(
    routes: impl Endpoint + 'static,
    app: Arc<App>,
) -> impl Endpoint<Output = Response> {
    Service { routes, app }
}
