//! `/consent`: may this client have that?

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::flow::Decision;
use crate::http::pages::login::destinations;
use crate::http::pages::page::{in_words as place_in_words, render_towards};
use crate::http::pages::templates::ConsentPage;
use crate::http::pages::words::Permission;
use crate::http::pages::{Call, stale};

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    let waiting = call.waiting().await?.ok_or_else(stale)?;
    let Some(browser) = &call.visit.browser else { return Ok(call.lead_to("login")) };
    if call.is_post() {
        let decision = match call.params.get("decision") {
            Some("allow") => Decision::Allow,
            Some("deny") => Decision::Deny,
            _ => return Err(stale()),
        };
        return Ok(call.go_on(&waiting, &call.visit, Some(decision)).await);
    }
    let (pending, client) = &waiting;
    let asked = &pending.request;
    let page = ConsentPage {
        csrf: &call.visit.csrf(),
        flow: call.params.get("flow").unwrap_or_default(),
        client_name: &client.name,
        email: &browser.account.email,
        returns_to: &place_in_words(&asked.to.redirect_uri),
        asked: Permission::of(&asked.scope, &asked.audience, &call.app.issuer_url),
    };
    Ok(render_towards(StatusCode::OK, &page, &destinations(Some(&waiting))))
}
