//! `/account`: where somebody is logged in, and how to end that.

use std::collections::HashMap;

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::browser::Browser;
use crate::domain::oauth::{browser, client};
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::page::render;
use crate::http::pages::templates::{AccountPage, SessionLine};
use crate::http::pages::{Call, stale};

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    let Some(browser) = &call.visit.browser else { return Ok(call.lead_to("login")) };
    if call.is_post() {
        let id = call.params.get("end").and_then(|id| id.parse().ok()).ok_or_else(stale)?;
        let (origin, now) = (origin_of(&call.request).await, call.app.clock.now());
        let ended = browser::end_other(&call.app.db, browser, id, &origin, now).await;
        ended.map_err(|error| respond::failed(&error.into()))?;
        return Ok(call.lead_to("account"));
    }
    show(&call, browser).await
}

async fn show(call: &Call, browser: &Browser) -> Result<Response, Response> {
    let db = &call.app.db;
    let names = client::list(db).await.map_err(|error| respond::failed(&error.into()))?;
    let names: HashMap<_, _> = names.into_iter().map(|client| (client.id, client.name)).collect();
    let sessions = browser::sessions_of(db, browser, call.app.clock.now()).await;
    let sessions = sessions.map_err(|error| respond::failed(&error.into()))?;
    let lines = sessions.into_iter().map(|session| SessionLine {
        client_name: match names.get(&session.client_id) {
            Some(name) => name.clone(),
            None if session.client_id == FIRST_PARTY_CLIENT => "Signet".to_owned(),
            None => session.client_id,
        },
        since: session.auth_time.to_rfc3339(),
        address: session.address.unwrap_or_default(),
        user_agent: session.user_agent.unwrap_or_default(),
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
