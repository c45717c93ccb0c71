//! Limits the requests and the grants of a client to its current registration.
//!
//! Every step applies this limit: consent, code exchange, each refresh, and introspection. So if a
//! registration is reduced, this takes effect immediately. If it is extended again, a session gets
//! back what it was granted, and nothing else.

use crate::domain::oauth::authorization_request::{AuthorizationRequest, ErrorCode, Refusal};
use crate::domain::oauth::claims::{filtered, is_in_scope};
use crate::domain::oauth::{audience, redirect};
use crate::entity::authorization_code::RequestedClaims;
use crate::entity::client::Model as Client;
use crate::scope::{Audiences, Scope};

/// Whether codes and errors may be sent to this redirect URI.
#[must_use]
pub fn has_redirect_uri(client: &Client, uri: &str) -> bool {
    let is_native = client.is_native();
    client.redirect_uris.0.iter().any(|registered| redirect::matches(registered, uri, is_native))
}

/// `scope`, limited to the scope of the client. `offline_access` requires the grant type
/// `refresh_token`.
#[must_use]
pub fn scope(client: &Client, scope: &Scope) -> Scope {
    let limited = scope.limited_to(&client.scope());
    if client.grants.has("refresh_token") { limited } else { limited.without(&["offline_access"]) }
}

/// `audiences`, limited to the audiences of the client. The result may be empty.
#[must_use]
pub fn audience(client: &Client, audiences: &Audiences, issuer: &str) -> Audiences {
    audiences.limited_to(&audience::registered_by(client, issuer))
}

/// The claims requested by name, limited to the claims of the scope that the client is registered
/// for. Claims that `scope` includes are left out for userinfo, which returns them anyway. Without
/// `openid`, the result is empty, because there are neither userinfo responses nor ID tokens.
#[must_use]
pub fn claims(
    client: &Client,
    scope: &Scope,
    requested: Option<&RequestedClaims>,
) -> RequestedClaims {
    let Some(requested) = requested.filter(|_| scope.has("openid")) else {
        return RequestedClaims::default();
    };
    let registered = client.scope();
    let mut claims = filtered(requested, |claim| is_in_scope(claim, &registered));
    claims.userinfo.retain(|claim| !is_in_scope(claim, scope));
    claims
}

/// Why a stored request can no longer be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outdated {
    /// The redirect URI is no longer registered, so no response may be sent to it.
    Nowhere,
    /// The error to send to the client.
    Refused(Refusal),
}

/// A stored request, limited to the client's current registration.
///
/// # Errors
/// See [`Outdated`].
pub fn renewed(
    client: &Client,
    mut request: AuthorizationRequest,
    issuer: &str,
) -> Result<AuthorizationRequest, Outdated> {
    // This also refuses a client that is no longer registered for the grant type
    // `authorization_code`, because such a client has no redirect URIs.
    if !has_redirect_uri(client, &request.to.redirect_uri) {
        return Err(Outdated::Nowhere);
    }
    request.scope = scope(client, &request.scope);
    request.claims = claims(client, &request.scope, Some(&request.claims));
    request.audience = audience(client, &request.audience, issuer);
    let reason = if request.scope.is_empty() {
        (ErrorCode::INVALID_SCOPE, "the client is no longer registered for this scope")
    } else if request.audience.is_empty() {
        (ErrorCode::INVALID_TARGET, "the resource is no longer available")
    } else {
        return Ok(request);
    };
    Err(Outdated::Refused(Refusal { to: request.to, reason }))
}
