//! What the wire looks like: paths, bodies, headers, statuses. The rules are in `domain`.
//!
//! A request passes, outside in: its id, the limits on its head, a net for panics and the rendering
//! of errors (`service`); for the JSON API then its log line (`trace`), CORS and the limit on its
//! body; then one endpoint, which calls one function of `domain`.

mod answered;
mod api;
mod bearer;
mod body_limit;
mod cors;
mod documents;
mod error;
mod failures;
mod json;
mod oauth;
mod openapi;
mod origin;
mod pages;
mod paths;
mod probes;
mod rate_limit;
mod readiness;
mod service;
mod status_lists;
mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use poem::{Endpoint, EndpointExt, Response, Route, get};
use signet_verifier::Verifier;
use url::Url;

use crate::clock::Clock;
use crate::config::{Config, TokenSettings};
use crate::database::Db;
use crate::domain::keys::{KeyRing, RequestSealer};
use crate::domain::password::{Hasher, Policy};
use crate::domain::refresh::RefreshTokens;
use crate::domain::reset::ResetTokens;
use crate::domain::status::{StatusEntries, StatusLists};
use crate::domain::token::Issuer;
use crate::http::documents::ReadOnly;
use crate::http::paths::Paths;

pub use crate::http::openapi::document as openapi_document;
pub use crate::http::pages::{LogoError, Looks, PageCookie};
pub use crate::http::rate_limit::{Limits, client as client_of};
pub use crate::http::readiness::Readiness;
use crate::http::status_lists::{Aggregation, StatusDocuments, StatusList};

/// All that endpoints can reach.
pub struct App {
    /// The rows.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The `iss` of every token, and the base of every URL.
    pub issuer_url: String,
    /// How long tokens and sessions live.
    pub tokens: TokenSettings,
    /// The rule for new passwords.
    pub password_policy: Policy,
    /// Checks and hashes passwords.
    pub hasher: Hasher,
    /// Who may try how often.
    pub limits: Limits,
    /// The signing keys.
    pub ring: Arc<KeyRing>,
    /// Signs access tokens.
    pub issuer: Issuer,
    /// Where new sessions get their entry of a status list.
    pub status_entries: StatusEntries,
    /// Which sessions have ended, for verifiers.
    pub status_lists: StatusLists,
    /// Makes and reads refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Reads password reset tokens.
    pub reset_tokens: ResetTokens,
    /// Seals the authorization requests that browsers carry.
    pub request_sealer: RequestSealer,
    /// Checks our own access tokens, as any service does.
    pub verifier: Verifier,
    /// What browsers are known by.
    pub cookie: PageCookie,
    /// What the hosted pages look like.
    pub looks: Looks,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What was found when the database was last asked whether it is well.
    pub readiness: Readiness,
    /// Whether the server has been told to stop.
    pub is_leaving: AtomicBool,
}

impl App {
    /// From now on it is not ready, and each answer closes its connection.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }
}

/// Every path of the public listener.
#[must_use]
pub fn endpoint(app: Arc<App>, config: &Config) -> impl Endpoint<Output = Response> + 'static {
    let api = openapi::service();
    let document = openapi::document(&path_of(&app.issuer_url));
    let paths = paths();
    let jwks_max_age = config.keys.jwks_max_age_seconds;
    let jwks = documents::JwksDocument::new(Arc::clone(&app), jwks_max_age);
    let lists = Arc::new(StatusDocuments::new(Arc::clone(&app)));
    let metadata = documents::metadata(&app.issuer_url, jwks_max_age);

    let api = api
        .with(body_limit::BodyLimit::USUAL)
        .with(cors::Cors::new(&config.service.cors_origins))
        .with(trace::Trace { paths: Some(paths.clone()) })
        .data(Arc::clone(&app));
    // Documents reach nothing, so that a request for one carries nothing.
    let routes = Route::new()
        .at("/.well-known/jwks.json", ReadOnly(jwks))
        .at("/.well-known/openid-configuration", ReadOnly(metadata.clone()))
        .at("/.well-known/oauth-authorization-server", ReadOnly(metadata))
        .at("/status", ReadOnly(Aggregation(Arc::clone(&lists))))
        .at("/status/:list", ReadOnly(StatusList(lists)))
        .at("/openapi.json", ReadOnly(documents::openapi(&document)))
        .at("/docs", ReadOnly(documents::docs_page(&document)))
        .at("/livez", get(probes::live))
        .at("/readyz", get(probes::ready).data(Arc::clone(&app)))
        .at("/client-address", get(probes::client_address).data(Arc::clone(&app)))
        .nest_no_strip("/api", api);
    let routes = oauth::add_to(routes, &app, &config.service.cors_origins);
    let routes = pages::add_to(routes, &app);
    service::Service::new(routes, app, paths)
}

/// Other routes, with what stands around ours.
#[cfg(test)]
pub(crate) fn around(
    routes: impl Endpoint + 'static,
    app: Arc<App>,
) -> impl Endpoint<Output = Response> {
    service::Service::new(routes, app, paths())
}

fn paths() -> Paths {
    Paths::new(&openapi::document(""), oauth::METHODS.into_iter().chain(pages::METHODS))
}

/// The path of the issuer, under which a proxy serves all of ours; empty if it has none.
fn path_of(issuer: &str) -> String {
    let path = Url::parse(issuer).map(|url| url.path().to_owned()).unwrap_or_default();
    path.trim_end_matches('/').to_owned()
}
