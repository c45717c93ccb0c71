//! The parameters of a logout request (OpenID Connect RP-Initiated Logout 1.0 section 2), from a
//! client or from the confirmation form.

use poem::Response;

use crate::domain::oauth::id_token::{self, Hint};
use crate::domain::oauth::logout;
use crate::domain::oauth::params::Params;
use crate::http::app::App;
use crate::http::pages::message;
use crate::http::redirect::{see_other, with_query};
use crate::http::request_language;

/// The parameters of a logout request that a redirect and the confirmation form repeat.
pub(in crate::http) fn forwarded_parameters(
    params: &Params,
) -> impl Iterator<Item = (&'static str, &str)> {
    let names = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"];
    names.into_iter().filter_map(|name| Some((name, params.get(name)?)))
}

/// A valid logout request.
pub(in crate::http) struct LogoutRequest {
    /// The ID token hint.
    pub(in crate::http) hint: Option<Hint>,
    /// The redirect target, if there is one.
    pub(in crate::http) destination: Option<String>,
}

/// Validates a logout request, from a client or from the confirmation form.
pub(in crate::http) async fn validate(
    app: &App,
    params: &Params,
) -> Result<LogoutRequest, Response> {
    if params.repeats_any() {
        return Err(message::bad_request("a parameter is given more than once"));
    }
    let hint = params.get("id_token_hint").map(|token| id_token::read_hint(&app.issuer, token));
    if hint == Some(None) {
        return Err(message::bad_request("id_token_hint is not an ID token of this service"));
    }
    let hint = hint.flatten();
    let client_id = params.get("client_id");
    if hint.as_ref().zip(client_id).is_some_and(|(hint, client_id)| hint.client_id != client_id) {
        return Err(message::bad_request("client_id does not match id_token_hint"));
    }
    if params.get("state").is_some_and(|state| state.contains(char::is_control)) {
        return Err(message::bad_request("state contains control characters"));
    }
    let uri = params.get("post_logout_redirect_uri");
    let Some(hint) = hint else { return Ok(LogoutRequest { hint: None, destination: None }) };
    let client = app.clients.find(&hint.client_id).await.map_err(message::failed)?;
    let destination =
        client.and_then(|client| logout::destination(&client, uri, Some(&hint)).map(str::to_owned));
    if uri.is_some() && destination.is_none() {
        let why = "post_logout_redirect_uri is not registered for the client";
        return Err(message::bad_request(why));
    }
    let state = params.get("state").map(|state| vec![("state", state.to_owned())]);
    let destination = destination.map(|uri| match state {
        Some(state) => with_query(&uri, &state),
        None => uri,
    });
    Ok(LogoutRequest { hint: Some(hint), destination })
}

/// Redirects a browser after its logout. `root` is the relative path to the root of the pages.
pub(in crate::http) fn redirect_after_logout(root: &str, destination: Option<&str>) -> Response {
    match destination {
        Some(uri) => see_other(uri),
        None => see_other(&request_language::keep_in(&format!("{root}logout"))),
    }
}
