//! `POST /oauth2/introspect` (RFC 7662) and `POST /oauth2/revoke` (RFC 7009).
//!
//! The type of a token is recognised from the token itself, so `token_type_hint` is ignored.

use poem::{Request, Response};
use serde_json::json;

use crate::domain::oauth::introspection;
use crate::domain::oauth::params::Params;
use crate::domain::oauth::revocation::{self, Revocation};
use crate::http::oauth::client_request::ClientRequest;
use crate::http::oauth::error::OAuthError;
use crate::http::oauth::json_answer;
use crate::http::rate_limit::ClientEndpoint;

pub(super) async fn introspect(request: Request) -> Result<Response, OAuthError> {
    let call = ClientRequest::read(request, ClientEndpoint::Introspection).await?;
    if !call.client.is_confidential() {
        return Err(OAuthError::invalid_client());
    }
    let token = token(&call.params)?;
    let found = introspection::introspect(call.mint(), &call.client, token, call.now).await;
    let found = found.map_err(|error| OAuthError::failed(&error))?;
    Ok(json_answer(&found.unwrap_or_else(|| json!({ "active": false }))))
}

pub(super) async fn revoke(request: Request) -> Result<Response, OAuthError> {
    let call = ClientRequest::read(request, ClientEndpoint::Token).await?;
    let token = token(&call.params)?;
    let revoked = revocation::revoke(call.mint(), &call.client, token, &call.origin).await;
    match revoked.map_err(|error| OAuthError::failed(&error))? {
        Revocation::Done => Ok(Response::default()),
        Revocation::Unsupported => Err(OAuthError::unsupported_token_type()),
    }
}

fn token(params: &Params) -> Result<&str, OAuthError> {
    params.get("token").ok_or(OAuthError::invalid_request("token is missing"))
}
