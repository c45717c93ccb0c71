//! `/delete-account`: an end to the account of whoever is logged in and knows its password.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::confirm as domain;
use crate::domain::oauth::browser::Browser;
use crate::domain::password::Password;
use crate::http::oauth::origin_of;
use crate::http::pages::page::render;
use crate::http::pages::templates::{DeletionPage, MessagePage};
use crate::http::pages::{Call, Visit, confirm};

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    match &call.visit.browser {
        Some(browser) if call.is_post() => delete(&call, browser).await,
        Some(browser) => Ok(show(&call, browser, "", StatusCode::OK)),
        None if call.has_done("deletion") => Ok(deleted()),
        None => Ok(call.lead_to("login")),
    }
}

fn show(call: &Call, browser: &Browser, problem: &str, status: StatusCode) -> Response {
    let (csrf, email) = (&call.visit.csrf(), &browser.account.email_claims().email);
    render(status, &DeletionPage { csrf, email, problem })
}

async fn delete(call: &Call, browser: &Browser) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let again = || show(call, browser, confirm::REFUSED, StatusCode::BAD_REQUEST);
    let password = Password::parse(call.params.get("password").unwrap_or_default());
    let password = password.map_err(|_| again())?;
    let confirmation = confirm::admit(call, browser, password, &origin).await?;
    match domain::delete_account(&app.db, &app.hasher, confirmation, now).await {
        Ok(()) => Ok(Visit::forget(call.see("delete-account?done=deletion"))),
        Err(error) => Err(confirm::failure(call, &error).unwrap_or_else(again)),
    }
}

fn deleted() -> Response {
    let text = "Nobody is logged in to this browser any more.";
    let page = MessagePage { heading: "The account is deleted", text, details: "", link: None };
    render(StatusCode::OK, &page)
}
