//! `/consent`: may this client have that?

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::flow::Decision;
use crate::http::pages::login::destinations;
use crate::http::pages::page::{in_words as place_in_words, render_towards};
use crate::http::pages::templates::ConsentPage;
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
    let wishes = pending.request.scope.split(' ').map(in_words).collect();
    let page = ConsentPage {
        csrf: &call.visit.csrf(),
        flow: call.params.get("flow").unwrap_or_default(),
        client_name: &client.name,
        email: &browser.account.email,
        returns_to: &place_in_words(&pending.request.to.redirect_uri),
        wishes,
    };
    Ok(render_towards(StatusCode::OK, &page, &destinations(Some(&waiting))))
}

fn in_words(scope: &str) -> String {
    match scope {
        "openid" => "know that it is you".to_owned(),
        "profile" => "see your name and what else your profile says".to_owned(),
        "email" => "see your email address".to_owned(),
        "address" => "see your postal address".to_owned(),
        "phone" => "see your telephone number".to_owned(),
        "offline_access" => "do so while you are away, until you end it".to_owned(),
        other => format!("use “{other}”"),
    }
}
