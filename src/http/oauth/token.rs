//! `POST /oauth2/token` (RFC 6749 §3.2).

use poem::{Request, Response};
use serde_json::{Map, Value};

use crate::domain::oauth::grant_error::GrantError;
use crate::domain::oauth::mint::Issued;
use crate::domain::oauth::token_endpoint;
use crate::http::audited_failures;
use crate::http::oauth::client_request::ClientRequest;
use crate::http::oauth::error::OAuthError;
use crate::http::oauth::json_answer;
use crate::http::rate_limit::ClientEndpoint;
use crate::http::rate_limit::FreeFailure;

pub(super) async fn answer(request: Request) -> Result<Response, OAuthError> {
    let call = ClientRequest::read(request, ClientEndpoint::Token).await?;
    let ClientRequest { app, client, params, origin, now } = &call;
    let exchanged = token_endpoint::exchange(call.mint(), client, params, origin, *now).await;
    let is_refresh = params.get("grant_type") == Some("refresh_token");
    let token = params.get("refresh_token").filter(|_| is_refresh);
    // A token that cannot be decoded was not issued by this service.
    if matches!(exchanged, Err(GrantError::Rejected))
        && token.is_some_and(|token| app.refresh_tokens.decode(token).is_none())
    {
        let failure = FreeFailure::ForgedRefreshToken;
        let event = failure.event().client(&client.id).reason("forged");
        audited_failures::record(app, failure, event, origin).await;
    }
    Ok(success(&exchanged?))
}

/// The token response (RFC 6749 §5.1).
fn success(issued: &Issued) -> Response {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), issued.access_token.clone().into());
    body.insert("token_type".to_owned(), "Bearer".into());
    body.insert("expires_in".to_owned(), issued.life.as_secs().into());
    if !issued.scope.is_empty() {
        body.insert("scope".to_owned(), issued.scope.as_str().into());
    }
    for (name, token) in [("refresh_token", &issued.refresh_token), ("id_token", &issued.id_token)]
    {
        if let Some(token) = token {
            body.insert(name.to_owned(), token.clone().into());
        }
    }
    json_answer(&Value::Object(body))
}
