//! `/oauth2/logout` (OpenID Connect RP-Initiated Logout 1.0).
//!
//! Only a client that shows an ID token of this very login logs it out at once. Everybody else,
//! an image on a foreign page included, gets the question whether to log out.

use std::sync::Arc;

use poem::http::{Method, StatusCode};
use poem::{Request, Response};
use url::form_urlencoded;

use crate::domain::oauth::browser::Browser;
use crate::domain::oauth::client;
use crate::domain::oauth::flow::FlowError;
use crate::domain::oauth::id_token::{self, Hint};
use crate::domain::oauth::logout;
use crate::domain::oauth::params::Params;
use crate::http::App;
use crate::http::oauth::form::{self, Unreadable};
use crate::http::oauth::{app_of, origin_of, respond, speculation};
use crate::http::pages::{self, Visit};

/// What of a logout request the question hands on.
pub(in crate::http) const HANDED_ON: [&str; 4] =
    ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// A logout request that passed every check.
pub(in crate::http) struct LogoutRequest {
    /// Who was logged in, by an ID token of ours.
    pub(in crate::http) hint: Option<Hint>,
    /// Where it leads, if anywhere.
    pub(in crate::http) destination: Option<String>,
}

pub(super) async fn answer(mut request: Request) -> Response {
    if let Some(refused) = speculation::refused(&request) {
        return refused;
    }
    let Ok(app) = app_of(&request) else {
        return pages::error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    if let Err(refused) = app.limits.admit_change(&origin_of(&request).await) {
        return pages::limited(&refused);
    }
    let is_foreign_form = request.method() == Method::POST && !app.cookie.is_in(&request);
    let params = match form::params(&mut request).await {
        Ok(params) => params,
        Err(Unreadable(why)) => return pages::bad_request(why),
    };
    if is_foreign_form && !params.repeats_any() {
        // Browsers keep our cookie from a form on another site, and send it with what follows.
        let query = query_of(&params);
        return respond::see_other(&format!("../oauth2/logout?{query}"));
    }
    let asked = match read(&app, &params).await {
        Ok(asked) => asked,
        Err(page) => return page,
    };
    end(&app, &request, &params, asked).await
}

fn query_of(params: &Params) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in HANDED_ON {
        if let Some(value) = params.get(name) {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

/// Checks what a logout request says, whether it came from a client or back from the question.
pub(in crate::http) async fn read(app: &App, params: &Params) -> Result<LogoutRequest, Response> {
    if params.repeats_any() {
        return Err(pages::bad_request("a parameter is given more than once"));
    }
    let hint = params.get("id_token_hint").map(|token| id_token::read_hint(&app.issuer, token));
    if hint == Some(None) {
        return Err(pages::bad_request("id_token_hint is not an ID token of this service"));
    }
    let hint = hint.flatten();
    let named = params.get("client_id");
    if hint.as_ref().zip(named).is_some_and(|(hint, named)| hint.client_id != named) {
        return Err(pages::bad_request("client_id is not that of id_token_hint"));
    }
    if params.get("state").is_some_and(|state| state.contains(char::is_control)) {
        return Err(pages::bad_request("state has control characters"));
    }
    let uri = params.get("post_logout_redirect_uri");
    let Some(hint) = hint else { return Ok(LogoutRequest { hint: None, destination: None }) };
    let client = client::find(&app.db, &hint.client_id).await;
    let client = client.map_err(|error| respond::failed(&error.into()))?;
    let destination =
        client.and_then(|client| logout::destination(&client, uri, Some(&hint)).map(str::to_owned));
    if uri.is_some() && destination.is_none() {
        let why = "post_logout_redirect_uri is not one that the client registered";
        return Err(pages::bad_request(why));
    }
    let state = params.get("state").map(|state| vec![("state", state.to_owned())]);
    let destination = destination.map(|uri| match state {
        Some(state) => respond::with_query(&uri, &state),
        None => uri,
    });
    Ok(LogoutRequest { hint: Some(hint), destination })
}

async fn end(app: &Arc<App>, request: &Request, params: &Params, asked: LogoutRequest) -> Response {
    let visit = match Visit::of(app, request).await {
        Ok(visit) => visit,
        Err(error) => return respond::failed(&error),
    };
    let LogoutRequest { hint, destination } = asked;
    let browser = match proved(app, &visit, hint.as_ref()).await {
        Ok(browser) => browser,
        Err(error) => return respond::failed(&error),
    };
    let Some(browser) = browser else {
        if visit.browser.is_none() {
            return leave("../", destination.as_deref());
        }
        return visit.remember(app, pages::ask_logout(&visit, params, destination.as_deref()));
    };
    let origin = origin_of(request).await;
    match logout::log_out(&app.db, &browser, &origin).await {
        Ok(()) => app.cookie.remove(leave("../", destination.as_deref())),
        Err(error) => respond::failed(&error.into()),
    }
}

/// The login to end without a question: an ID token proves that it was issued in it. It may have been
/// idle for too long, as people log out where they have been working all the while.
async fn proved(
    app: &Arc<App>,
    visit: &Visit,
    hint: Option<&Hint>,
) -> Result<Option<Browser>, FlowError> {
    let Some(hint) = hint else { return Ok(None) };
    let Some(browser) = visit.last_login(app).await? else { return Ok(None) };
    let belongs = logout::belongs(&app.db, hint, &browser).await?;
    Ok(belongs.then_some(browser))
}

/// Where a browser goes once nobody is logged in to it. `up` leads from the address that is answered to
/// where the pages are.
pub(in crate::http) fn leave(up: &str, destination: Option<&str>) -> Response {
    match destination {
        Some(uri) => respond::see_other(uri),
        None => respond::see_other(&format!("{up}logout")),
    }
}
