//! What a client may have now of what it asked for, or was granted, before.
//!
//! Every step asks again: when a person answers, when a code is redeemed, at each refresh, and when
//! somebody asks what a token is good for. So a client that is narrowed is narrowed at once, and one
//! that is widened again gets back what was granted, and no more.

use crate::domain::oauth::authorization_request::{AuthorizationRequest, ErrorCode, Refusal};
use crate::domain::oauth::claims::{is_opened, limited};
use crate::domain::oauth::{audience, redirect};
use crate::domain::scope::Scope;
use crate::entity::authorization_code::AskedClaims;
use crate::entity::client::Model as Client;

/// Whether codes, and errors, may be sent there.
#[must_use]
pub fn has_redirect_uri(client: &Client, uri: &str) -> bool {
    let is_native = client.is_native();
    client.redirect_uris.0.iter().any(|registered| redirect::matches(registered, uri, is_native))
}

/// What of a scope the client may have; `offline_access` is of use to those alone that may refresh.
#[must_use]
pub fn scope(client: &Client, of: &Scope) -> Scope {
    let left = of.limited_to(&client.scopes.0);
    if client.grants.has("refresh_token") { left } else { left.without("offline_access") }
}

/// What of a space-separated audience the client may have; empty if nothing is left.
#[must_use]
pub fn audience(client: &Client, of: &str, issuer: &str) -> String {
    let allowed = audience::registered_by(client, issuer);
    let left = of.split(' ').filter(|one| allowed.iter().any(|it| it == one));
    left.collect::<Vec<_>>().join(" ")
}

/// What of the claims that were asked for by name the client may have, beside this scope: those of scopes
/// that it is registered for. What the scope opens is at userinfo anyway; without `openid` there are
/// neither userinfo nor ID tokens.
#[must_use]
pub fn claims(client: &Client, scope: &Scope, of: &AskedClaims) -> AskedClaims {
    if !scope.has("openid") {
        return AskedClaims::default();
    }
    let registered = Scope::of(&client.scopes.0);
    let mut left = limited(of, |claim| is_opened(claim, &registered));
    left.userinfo.retain(|claim| !is_opened(claim, scope));
    left
}

/// Why a request that was kept cannot be answered any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outdated {
    /// Its redirect URI is no longer the client's: nothing may be sent anywhere.
    Nowhere,
    /// The client is to be told.
    Refused(Refusal),
}

/// A request that was kept, as far as its client may still ask for it.
///
/// # Errors
/// See [`Outdated`].
pub fn renewed(
    client: &Client,
    mut request: AuthorizationRequest,
    issuer: &str,
) -> Result<AuthorizationRequest, Outdated> {
    // A client without the grant has no redirect URIs.
    if !has_redirect_uri(client, &request.to.redirect_uri) {
        return Err(Outdated::Nowhere);
    }
    let scope = scope(client, &Scope::parse(&request.scope).unwrap_or_default());
    request.claims = claims(client, &scope, &request.claims);
    request.scope = scope.to_string();
    request.audience = audience(client, &request.audience, issuer);
    let (code, description) = if request.scope.is_empty() {
        (ErrorCode::InvalidScope, "the client may no longer have any of this scope")
    } else if request.audience.is_empty() {
        (ErrorCode::InvalidTarget, "the resource is no longer available")
    } else {
        return Ok(request);
    };
    Err(Outdated::Refused(Refusal { to: request.to, code, description }))
}
