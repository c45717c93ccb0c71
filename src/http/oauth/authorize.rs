//! `/oauth2/authorize` (RFC 6749 §3.1, OpenID Connect Core 1.0 §3.1.2).

use std::sync::Arc;

use poem::http::{Method, StatusCode};
use poem::{Request, Response};
use url::form_urlencoded;

use crate::domain::oauth::authorize;
use crate::domain::oauth::client::{self, Client};
use crate::domain::oauth::flow::{self, State};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::waiting::{Kept, Pending};
use crate::http::App;
use crate::http::oauth::form::{self, Unreadable};
use crate::http::oauth::{app_of, origin_of, respond, speculation};
use crate::http::pages::{self, UNKNOWN_CLIENT, Visit, Waiting};

/// Longest form that is turned into a query, in bytes.
const MAX_QUERY: usize = 7 * 1024;

pub(super) async fn answer(mut request: Request) -> Response {
    if let Some(refused) = speculation::refused(&request) {
        return refused;
    }
    let Ok(app) = app_of(&request) else {
        return pages::error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    // Before the database is asked for anything.
    if let Err(refused) = app.limits.admit_refresh(&origin_of(&request).await) {
        return pages::limited(&refused);
    }
    let has_cookie = app.cookie.is_in(&request);
    let is_post = request.method() == Method::POST;
    let bytes = if is_post {
        match posted(&mut request).await {
            Ok(text) => text,
            Err(Unreadable(why)) => return pages::bad_request(why),
        }
    } else {
        request.uri().query().unwrap_or_default().to_owned()
    };
    let params = match form::decode(&bytes) {
        Ok(params) => params,
        Err(Unreadable(why)) => return pages::bad_request(why),
    };
    // Before anything that redirects: who asks, and where may the answer go?
    let (client, redirect_uri) = match addressee(&app, &params).await {
        Ok(addressee) => addressee,
        Err(page) => return page,
    };
    if is_post && !has_cookie {
        // Browsers keep our cookie from a form on another site, and send it with what follows. They
        // must not be given another one: that would log somebody out.
        if bytes.len() > MAX_QUERY {
            return pages::bad_request("the request is too long to come from another site");
        }
        return respond::see_other(&format!("../oauth2/authorize?{bytes}"));
    }
    match authorize::check(&client, &redirect_uri, &params, &app.issuer) {
        Err(refusal) => respond::refusal(&app, &refusal),
        Ok(asked) => {
            let kept = Kept::Nowhere;
            let pending = Pending { kept, request: asked, asked_at: app.clock.now() };
            begin(&app, &request, Waiting { pending, client, flow: String::new() }).await
        }
    }
}

/// The form as a query, every parameter written anew.
async fn posted(request: &mut Request) -> Result<String, Unreadable> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Unreadable("parameters belong into the body alone"));
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

/// RFC 6749 §4.1.2.1: an unknown client or redirect URI gets a page, and nothing is sent anywhere.
async fn addressee(app: &App, params: &Params) -> Result<(Client, String), Response> {
    if params.repeats("client_id") || params.repeats("redirect_uri") {
        return Err(pages::bad_request("client_id or redirect_uri is given more than once"));
    }
    let Some(id) = params.get("client_id") else {
        return Err(pages::bad_request("client_id is missing"));
    };
    let found = client::find(&app.db, id).await;
    let found = found.map_err(|error| respond::failed(&error.into()))?;
    let Some(client) = found else {
        return Err(pages::bad_request(UNKNOWN_CLIENT));
    };
    let Some(uri) = authorize::redirect_uri(&client, params).map(str::to_owned) else {
        return Err(pages::bad_request(pages::NOT_REGISTERED));
    };
    Ok((client, uri))
}

/// Answers at once if nobody has to be asked; else with the page that asks.
async fn begin(app: &Arc<App>, request: &Request, waiting: Waiting) -> Response {
    let now = app.clock.now();
    let origin = origin_of(request).await;
    let visit = match Visit::of(app, request).await {
        Ok(visit) => visit,
        Err(error) => return respond::failed(&error),
    };
    let browser = visit.browser.as_ref();
    let issuer = &app.issuer_url;
    let Waiting { pending, client, .. } = &waiting;
    let state = State { client, issuer, pending, browser, decision: None, origin: &origin };
    let step = match flow::advance(&app.db, state, now).await {
        Ok(step) => step,
        Err(error) => return respond::failed(&error),
    };
    if let Some(answer) = respond::outcome(app, &pending.request.to, &step) {
        return if browser.is_some() { visit.remember(app, answer) } else { answer };
    }
    waiting.ask(app, &visit, &step, "../").await
}
