//! `/logout`: the question, and the page that says it is done.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::logout;
use crate::domain::oauth::params::Params;
use crate::http::oauth::logout::{HANDED_ON, leave, read};
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::page::{render, render_towards};
use crate::http::pages::templates::{LogoutPage, MessagePage};
use crate::http::pages::{Call, Visit};

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read_any(request).await?;
    if !call.is_post() {
        let page = match &call.visit.browser {
            Some(_) => question(&call.visit, &Params::default(), None, ""),
            None => signed_out(),
        };
        return Ok(page);
    }
    let asked = read(&call.app, &call.params).await?;
    if let Some(browser) = &call.visit.browser {
        if !call.is_current {
            let destination = asked.destination.as_deref();
            let mut again = question(&call.visit, &call.params, destination, "");
            again.set_status(StatusCode::BAD_REQUEST);
            return Err(again);
        }
        let origin = origin_of(&call.request).await;
        let ended = logout::log_out(&call.app.db, browser, &origin).await;
        ended.map_err(|error| respond::failed(&error.into()))?;
    }
    let left = leave("", asked.destination.as_deref());
    // A form of another site comes without the cookie, and must not take it away.
    Ok(if call.visit.is_new() { left } else { call.app.cookie.remove(left) })
}

/// The question, on behalf of a client's request.
pub(in crate::http) fn ask(visit: &Visit, params: &Params, destination: Option<&str>) -> Response {
    question(visit, params, destination, "../")
}

fn question(visit: &Visit, params: &Params, destination: Option<&str>, up: &str) -> Response {
    let fields = HANDED_ON.iter().filter_map(|name| Some((*name, params.get(name)?)));
    let page = LogoutPage {
        csrf: &visit.csrf(),
        up,
        email: &visit
            .browser
            .as_ref()
            .map(|it| it.account.email_claims().email)
            .unwrap_or_default(),
        fields: fields.collect(),
    };
    let destinations: Vec<_> = destination.into_iter().collect();
    render_towards(StatusCode::OK, &page, &destinations)
}

fn signed_out() -> Response {
    let text = "Nobody is logged in to this browser.";
    let link = Some(("login", "Log in"));
    render(StatusCode::OK, &MessagePage::new("You are logged out", text, link))
}
