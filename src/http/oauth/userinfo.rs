//! `/oauth2/userinfo` (OpenID Connect Core 1.0 §5.3), a protected resource (RFC 6750).

use poem::http::{Method, header};
use poem::{Request, Response};
use serde_json::Value;

use crate::domain::oauth::userinfo;
use crate::domain::session;
use crate::http::endpoint::app_of;
use crate::http::oauth::error::OAuthError;
use crate::http::oauth::json_answer;
use crate::http::{form, origin};

pub(super) async fn answer(mut request: Request) -> Result<Response, OAuthError> {
    let app = app_of(&request)?;
    let now = app.clock.now();
    let origin = origin::of(&request);
    app.limits.admit_request(&origin)?;
    let token = bearer(&mut request).await?;
    // The audience is not checked. Instead, this endpoint requires the scope `openid`, which is
    // granted only for a user.
    let token = app.issuer.read_access_token(&token, now).ok_or_else(OAuthError::invalid_token)?.0;
    if !token.has_scope("openid") {
        return Err(OAuthError::insufficient_scope());
    }
    let ids = token.user_id().zip(token.session_id());
    let ids = ids.and_then(|(user, session)| Some((user.parse().ok()?, session.parse().ok()?)));
    let (account_id, session_id) = ids.ok_or_else(OAuthError::invalid_token)?;
    let found = session::find_live(&app.db, session_id, account_id, now).await;
    let found = found.map_err(|error| OAuthError::failed(&error))?;
    let (session, account) = found.ok_or_else(OAuthError::invalid_token)?;
    let claims = userinfo::claims(&app.clients, &session, &account, token.scope()).await;
    let claims = claims.map_err(|error| OAuthError::failed(&error))?;
    let claims = claims.ok_or_else(OAuthError::insufficient_scope)?;
    Ok(json_answer(&Value::Object(claims)))
}

/// The access token, which must be sent by exactly one method: in the header or in a form body. A
/// token in the query is ignored, because URLs are logged.
async fn bearer(request: &mut Request) -> Result<String, OAuthError> {
    let mut fields = request.headers().get_all(header::AUTHORIZATION).iter();
    let field = fields.next().cloned();
    if fields.next().is_some() {
        return Err(OAuthError::two_tokens());
    }
    let in_body = if request.method() == Method::POST && form::is_form(request) {
        let bytes = request.take_body().into_bytes().await.unwrap_or_default();
        let params = form::decode(std::str::from_utf8(&bytes).unwrap_or_default())?;
        if params.repeats("access_token") {
            return Err(OAuthError::two_tokens());
        }
        params.get("access_token").map(str::to_owned)
    } else {
        None
    };
    match (field, in_body) {
        (Some(_), Some(_)) => Err(OAuthError::two_tokens()),
        (None, Some(token)) => Ok(token),
        (None, None) => Err(OAuthError::no_token()),
        (Some(field), None) => {
            let field = field.to_str().ok().and_then(|field| field.split_once(' '));
            let field = field.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            field.map(|(_, token)| token.trim().to_owned()).ok_or_else(OAuthError::no_token)
        }
    }
}
