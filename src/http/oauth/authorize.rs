//! `/oauth2/authorize` (RFC 6749 §3.1, OpenID Connect Core 1.0 §3.1.2).

use std::sync::Arc;

use poem::http::Method;
use poem::{Request, Response};
use url::form_urlencoded;

use crate::domain::oauth::authorize;
use crate::domain::oauth::client::Client;
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pending_authorization::{Pending, StoredIn};
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::form::{self, Unreadable};
use crate::http::oauth::prefetch;
use crate::http::origin;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::pages::{authorization_flow, authorization_response, message};
use crate::http::redirect::see_other;
use crate::http::request_language;

/// Maximum length of a form that is redirected as a query, in bytes.
const MAX_QUERY: usize = 7 * 1024;

/// Answers an authorization request. An error of the request is shown on a page if it occurs before
/// the redirect URI is known to be the client's. Later errors of the request are sent to the
/// client. Internal failures are always shown on a page.
pub(super) async fn answer(mut request: Request) -> Result<Response, Response> {
    if let Some(rejected) = prefetch::rejected(&request) {
        return Err(rejected);
    }
    let app = app_of(&request).map_err(message::error)?;
    // The limit applies before any database query.
    let admitted = app.limits.admit_unauthenticated(&origin::of(&request));
    admitted.map_err(|refused| message::limited(&refused))?;
    let query = query_of(&mut request).await.map_err(unreadable)?;
    let params = form::decode(&query).map_err(unreadable)?;
    request_language::choose_by_parameter(params.get("ui_locales"));
    let client = registered_client(&app, &params).await?;
    let redirect_uri = authorize::redirect_uri(&client, &params)
        .ok_or_else(|| message::bad_request(message::NOT_REGISTERED))?;
    if request.method() == Method::POST && !app.cookie.is_in(&request) {
        return Ok(resend_as_query(&query));
    }
    let checked =
        authorize::check(&client, redirect_uri, &params, &app.issuer, &app.sign_up_policy)
            .map_err(|refusal| authorization_response::refusal(&app, &refusal))?;
    let pending =
        Pending { stored_in: StoredIn::Nothing, request: checked, asked_at: app.clock.now() };
    let pending_request =
        PendingRequest { pending, client, flow: String::new(), is_restored: false };
    // If the request needs no interaction with the user, the client gets a response at once.
    // Otherwise the browser gets the page for the interaction.
    let visitor = Visitor::of(&app, &request).await.map_err(message::failed)?;
    let step =
        authorization_flow::advance(&app, &request, &pending_request, &visitor, None).await?;
    Ok(match authorization_response::outcome(&app, &pending_request.pending.request.to, &step) {
        Some(answer) if visitor.browser.is_some() => visitor.set_cookie(&app, answer),
        Some(answer) => answer,
        None => {
            authorization_flow::show_next_page(&app, pending_request, &visitor, &step, "../").await
        }
    })
}

fn unreadable(Unreadable(why): Unreadable) -> Response {
    message::bad_request(why)
}

/// The parameters as a query. Those of a form are decoded and encoded as a query.
async fn query_of(request: &mut Request) -> Result<String, Unreadable> {
    if request.method() != Method::POST {
        return Ok(request.uri().query().unwrap_or_default().to_owned());
    }
    let bytes = form::body_bytes(request).await?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(form_urlencoded::parse(&bytes));
    Ok(query.finish())
}

/// RFC 6749 §4.1.2.1: an unknown client or redirect URI gets an error page, not a redirect.
async fn registered_client(app: &App, params: &Params) -> Result<Arc<Client>, Response> {
    if params.repeats("client_id") || params.repeats("redirect_uri") {
        return Err(message::bad_request("client_id or redirect_uri is given more than once"));
    }
    let id = params.get("client_id").ok_or_else(|| message::bad_request("client_id is missing"))?;
    let found = app.clients.find(id).await.map_err(message::failed)?;
    found.ok_or_else(|| message::bad_request(message::UNKNOWN_CLIENT))
}

/// Redirects a form that another site posted. Browsers omit our cookie from a cross-site form post,
/// and send the cookie after the redirect. A new cookie in this response would log the user out.
fn resend_as_query(query: &str) -> Response {
    if query.len() > MAX_QUERY {
        return message::bad_request("the request is too long for a cross-site request");
    }
    see_other(&format!("../oauth2/authorize?{query}"))
}
