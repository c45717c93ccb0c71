//! `POST /oauth2/introspect` (RFC 7662) and `POST /oauth2/revoke` (RFC 7009).
//!
//! The type of a token is recognised from the token itself, so `token_type_hint` is ignored.

use std::sync::Arc;

use poem::{IntoResponse, Request, Response};
use serde_json::{Value, json};

use crate::domain::audit::Origin;
use crate::domain::oauth::client::Client;
use crate::domain::oauth::introspection;
use crate::domain::oauth::params::Params;
use crate::domain::oauth::revocation::{self, Revocation};
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::oauth::client_authentication;
use crate::http::oauth::error::OAuthError;
use crate::http::oauth::json_answer;
use crate::http::oauth::token::mint;
use crate::http::rate_limit::ClientEndpoint;
use crate::http::{form, origin};
use crate::timestamp::Timestamp;

pub(super) async fn introspect(request: Request) -> Response {
    look_up(request).await.map_or_else(IntoResponse::into_response, |state| json_answer(&state))
}

async fn look_up(request: Request) -> Result<Value, OAuthError> {
    let endpoint = ClientEndpoint::Introspection;
    let Call { app, client, params, now, .. } = Call::read(request, endpoint).await?;
    if !client.is_confidential() {
        return Err(OAuthError::invalid_client());
    }
    let found = introspection::introspect(mint(&app), &client, token(&params)?, now).await;
    let found = found.map_err(|error| OAuthError::failed(&error))?;
    Ok(found.map_or_else(|| json!({ "active": false }), Value::Object))
}

pub(super) async fn revoke(request: Request) -> Response {
    revoke_token(request).await.map_or_else(IntoResponse::into_response, |()| Response::default())
}

async fn revoke_token(request: Request) -> Result<(), OAuthError> {
    let endpoint = ClientEndpoint::Token;
    let Call { app, client, params, origin, .. } = Call::read(request, endpoint).await?;
    let revoked = revocation::revoke(mint(&app), &client, token(&params)?, &origin).await;
    match revoked.map_err(|error| OAuthError::failed(&error))? {
        Revocation::Done => Ok(()),
        Revocation::Unsupported => Err(OAuthError::unsupported_token_type()),
    }
}

fn token(params: &Params) -> Result<&str, OAuthError> {
    params.get("token").ok_or(OAuthError::invalid_request("token is missing"))
}

/// A form request of an authenticated client.
struct Call {
    app: Arc<App>,
    client: Client,
    params: Params,
    origin: Origin,
    now: Timestamp,
}

impl Call {
    async fn read(mut request: Request, endpoint: ClientEndpoint) -> Result<Self, OAuthError> {
        let app = app_of(&request)?;
        let now = app.clock.now();
        let origin = origin::of(&request);
        let params = form::body(&mut request).await?;
        if params.repeats_any() {
            return Err(OAuthError::invalid_request("a parameter is given more than once"));
        }
        let client =
            client_authentication::authenticate(&app, endpoint, &request, &params, &origin, now)
                .await?;
        Ok(Self { app, client, params, origin, now })
    }
}
