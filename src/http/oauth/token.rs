//! `POST /oauth2/token` (RFC 6749 §3.2).

use std::sync::Arc;

use poem::{IntoResponse, Request, Response};
use serde_json::{Map, Value};

use crate::domain::audit::{Event, Kind};
use crate::domain::oauth::token_endpoint::{self, GrantError, Issued, Mint};
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::failures;
use crate::http::oauth::client_authentication;
use crate::http::oauth::error::OAuthError;
use crate::http::oauth::json_answer;
use crate::http::rate_limit::ClientEndpoint;
use crate::http::{form, origin};

pub(super) async fn answer(request: Request) -> Response {
    grant(request).await.map_or_else(IntoResponse::into_response, |issued| success(&issued))
}

/// The steps of a token request.
async fn grant(mut request: Request) -> Result<Issued, OAuthError> {
    let app = app_of(&request)?;
    let now = app.clock.now();
    let origin = origin::of(&request);
    // 1. One form in the body, without repeated parameters.
    let params = form::body(&mut request).await?;
    if params.repeats_any() {
        return Err(OAuthError::invalid_request("a parameter is given more than once"));
    }
    // 2. The client is authenticated and within its rate limit.
    let endpoint = ClientEndpoint::Token;
    let client =
        client_authentication::authenticate(&app, endpoint, &request, &params, &origin, now)
            .await?;
    // 3. The client may use the grant type, and the grant is valid.
    let exchanged = token_endpoint::exchange(mint(&app), &client, &params, &origin, now).await;
    let is_refresh = params.get("grant_type") == Some("refresh_token") && is_rejected(&exchanged);
    let token = params.get("refresh_token").filter(|_| is_refresh);
    if token.is_some_and(|token| app.refresh_tokens.decode(token).is_none()) {
        let event = Event::new(Kind::RefreshFailed).client(&client.id).reason("forged");
        failures::record(&app, Kind::RefreshFailed, event, &origin).await;
    }
    Ok(exchanged?)
}

fn is_rejected(exchanged: &Result<Issued, GrantError>) -> bool {
    matches!(exchanged, Err(GrantError::Rejected))
}

/// The dependencies for issuing tokens.
pub(super) fn mint(app: &Arc<App>) -> Mint<'_> {
    Mint {
        db: &app.db,
        entries: &app.status_entries,
        issuer: &app.issuer,
        refresh_tokens: &app.refresh_tokens,
        settings: &app.tokens,
    }
}

/// The token response (RFC 6749 §5.1).
fn success(issued: &Issued) -> Response {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), issued.access_token.clone().into());
    body.insert("token_type".to_owned(), "Bearer".into());
    body.insert("expires_in".to_owned(), issued.life.as_secs().into());
    if !issued.scope.is_empty() {
        body.insert("scope".to_owned(), issued.scope.clone().into());
    }
    for (name, token) in [("refresh_token", &issued.refresh_token), ("id_token", &issued.id_token)]
    {
        if let Some(token) = token {
            body.insert(name.to_owned(), token.clone().into());
        }
    }
    json_answer(&Value::Object(body))
}
