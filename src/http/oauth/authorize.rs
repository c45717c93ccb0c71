//! `/oauth2/authorize` (RFC 6749 §3.1, OpenID Connect Core 1.0 §3.1.2).

use std::sync::Arc;

use poem::http::{Method, StatusCode};
use poem::{Request, Response};
use url::form_urlencoded;

use crate::domain::oauth::authorize;
use crate::domain::oauth::client::{self, Client};
use crate::domain::oauth::flow::{self, State};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pending_authorization::{Pending, StoredIn};
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::form::{self, Unreadable};
use crate::http::oauth::speculation;
use crate::http::origin;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::pages::{authorization_flow, authorization_response, message};
use crate::http::redirect::see_other;

/// Maximum length of a form that is redirected as a query, in bytes.
const MAX_QUERY: usize = 7 * 1024;

pub(super) async fn answer(mut request: Request) -> Response {
    if let Some(refused) = speculation::refused(&request) {
        return refused;
    }
    let Ok(app) = app_of(&request) else {
        return message::error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    // Before any database query.
    if let Err(refused) = app.limits.admit_refresh(&origin::of(&request)) {
        return message::limited(&refused);
    }
    let has_cookie = app.cookie.is_in(&request);
    let is_post = request.method() == Method::POST;
    let bytes = if is_post {
        match posted(&mut request).await {
            Ok(text) => text,
            Err(Unreadable(why)) => return message::bad_request(why),
        }
    } else {
        request.uri().query().unwrap_or_default().to_owned()
    };
    let params = match form::decode(&bytes) {
        Ok(params) => params,
        Err(Unreadable(why)) => return message::bad_request(why),
    };
    // Before any redirect: the client and the redirect URI.
    let (client, redirect_uri) = match addressee(&app, &params).await {
        Ok(addressee) => addressee,
        Err(page) => return page,
    };
    if is_post && !has_cookie {
        // Browsers omit our cookie from a cross-site form post, and send it after a redirect.
        // Setting another cookie here would log the user out.
        if bytes.len() > MAX_QUERY {
            return message::bad_request("the request is too long for a cross-site request");
        }
        return see_other(&format!("../oauth2/authorize?{bytes}"));
    }
    match authorize::check(&client, &redirect_uri, &params, &app.issuer) {
        Err(refusal) => authorization_response::refusal(&app, &refusal),
        Ok(asked) => {
            let stored_in = StoredIn::Nothing;
            let pending = Pending { stored_in, request: asked, asked_at: app.clock.now() };
            let flow = String::new();
            let waiting = PendingRequest { pending, client, flow, is_restored: false };
            begin(&app, &request, waiting).await
        }
    }
}

/// The form as a query, with every parameter encoded again.
async fn posted(request: &mut Request) -> Result<String, Unreadable> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Unreadable("parameters must be in the body only"));
    }
    if !form::is_form(request) {
        return Err(Unreadable("the body must be application/x-www-form-urlencoded"));
    }
    let bytes = request.take_body().into_bytes().await;
    let bytes = bytes.map_err(|_| Unreadable("the body cannot be read"))?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(form_urlencoded::parse(&bytes));
    Ok(query.finish())
}

/// RFC 6749 §4.1.2.1: an unknown client or redirect URI gets an error page, not a redirect.
async fn addressee(app: &App, params: &Params) -> Result<(Client, String), Response> {
    if params.repeats("client_id") || params.repeats("redirect_uri") {
        return Err(message::bad_request("client_id or redirect_uri is given more than once"));
    }
    let Some(id) = params.get("client_id") else {
        return Err(message::bad_request("client_id is missing"));
    };
    let found = client::find(&app.db, id).await;
    let found = found.map_err(|error| message::failed(&error.into()))?;
    let Some(client) = found else {
        return Err(message::bad_request(message::UNKNOWN_CLIENT));
    };
    let Some(uri) = authorize::redirect_uri(&client, params).map(str::to_owned) else {
        return Err(message::bad_request(message::NOT_REGISTERED));
    };
    Ok((client, uri))
}

/// Responds at once if no interaction is needed, otherwise with the page for it.
async fn begin(app: &Arc<App>, request: &Request, waiting: PendingRequest) -> Response {
    let now = app.clock.now();
    let origin = origin::of(request);
    let visitor = match Visitor::of(app, request).await {
        Ok(visitor) => visitor,
        Err(error) => return message::failed(&error),
    };
    let browser = visitor.browser.as_ref();
    let issuer = &app.issuer_url;
    let PendingRequest { pending, client, .. } = &waiting;
    let state = State { client, issuer, pending, browser, decision: None, origin: &origin };
    let step = match flow::advance(&app.db, state, now).await {
        Ok(step) => step,
        Err(error) => return message::failed(&error),
    };
    if let Some(answer) = authorization_response::outcome(app, &pending.request.to, &step) {
        return if browser.is_some() { visitor.remember(app, answer) } else { answer };
    }
    authorization_flow::ask(app, waiting, &visitor, &step, "../").await
}
