//! `/account`: where somebody is logged in, and how to end that.

use std::collections::HashMap;

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::browser::Browser;
use crate::domain::oauth::flow::FlowError;
use crate::domain::oauth::{browser, client};
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::http::oauth::logout::leave;
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::page::render;
use crate::http::pages::templates::{AccountPage, SessionLine};
use crate::http::pages::{Call, Visit, device, stale};

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    let Some(browser) = &call.visit.browser else { return Ok(call.lead_to("login")) };
    if call.is_post() {
        return end(&call, browser).await;
    }
    show(&call, browser).await
}

async fn end(call: &Call, browser: &Browser) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let wanted = call.params.get("end").unwrap_or_default();
    if wanted == "all" {
        browser::end_everywhere(&app.db, browser, &origin, now).await.map_err(failed)?;
        return Ok(Visit::forget(leave(app, None)));
    }
    let id = wanted.parse().map_err(|_| stale())?;
    browser::end_other(&app.db, browser, id, &origin, now).await.map_err(failed)?;
    Ok(call.lead_to("account"))
}

fn failed<E: Into<FlowError>>(error: E) -> Response {
    respond::failed(&error.into())
}

async fn show(call: &Call, browser: &Browser) -> Result<Response, Response> {
    let db = &call.app.db;
    let names = client::list(db).await.map_err(failed)?;
    let names: HashMap<_, _> = names.into_iter().map(|client| (client.id, client.name)).collect();
    let sessions = browser::sessions_of(db, browser, call.app.clock.now()).await;
    let sessions = sessions.map_err(failed)?;
    let lines = sessions.into_iter().map(|session| SessionLine {
        client_name: match names.get(&session.client_id) {
            Some(name) => name.clone(),
            None if session.client_id == FIRST_PARTY_CLIENT => call.app.looks.name.clone(),
            None => session.client_id,
        },
        since: session.auth_time.to_rfc3339(),
        since_in_words: session.auth_time.in_words(),
        address: session.address.unwrap_or_default(),
        device: device::in_words(session.user_agent.as_deref().unwrap_or_default()),
        is_this: session.id == browser.session.id,
        id: session.id.to_string(),
    });
    let page = AccountPage {
        csrf: &call.visit.csrf(),
        email: &browser.account.email,
        sessions: lines.collect(),
    };
    Ok(render(StatusCode::OK, &page))
}
