//! `/forgot-password`: requests a mail with which the password can be reset.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::email::Email;
use crate::domain::forgotten_password::{self as domain, Forgotten};
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::message::{self, MessagePage, limited_on};
use crate::http::pages::page_request::PageRequest;
use crate::http::redirect::see_other;

/// `/forgot-password`.
#[derive(Template)]
#[template(path = "forgotten.html")]
struct ForgottenPage<'a> {
    csrf: &'a str,
    /// The submitted address.
    username: &'a str,
    /// The error of the last attempt; empty before the first.
    problem: &'a str,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read(request).await?;
    if !call.app.mail.is_on() {
        return Err(mail_is_off());
    }
    if call.is_post() {
        return request_mail(&call).await;
    }
    Ok(call.visitor.set_cookie(&call.app, show(&call, "", "", StatusCode::OK)))
}

/// The page if this server sends no mail.
pub(super) fn mail_is_off() -> Response {
    let text = "This service sends no mail, so it cannot reset passwords here. Please contact its operator.";
    let page = MessagePage::new("Mail is off", text, Some(("login", "Log in")));
    page.answer(StatusCode::NOT_FOUND)
}

/// The next page is the same for every address.
async fn request_mail(call: &PageRequest) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let username = call.params.get("username").unwrap_or_default();
    let email = Email::parse_known(username).map_err(|error| {
        let problem = format!("The email address {error}.");
        show(call, username, &problem, StatusCode::BAD_REQUEST)
    })?;
    let limited = |text: &str| show(call, username, text, StatusCode::TOO_MANY_REQUESTS);
    let admitted = app.limits.admit_reset_request(&app.db, &email, &origin).await;
    let admitted = admitted.map_err(|error| limited_on(&error, limited))?;
    let device_digest = call.visitor.cookie_digest();
    let forgotten = Forgotten { email: &email, device_digest, admitted, origin: &origin };
    domain::request(&app.db, &app.mail, forgotten, now).await.map_err(message::failed)?;
    Ok(see_other("reset-password"))
}

fn show(call: &PageRequest, username: &str, problem: &str, status: StatusCode) -> Response {
    let csrf = call.visitor.csrf();
    let page = ForgottenPage { csrf: &csrf, username, problem };
    Page::of_form("Forgot your password?", !problem.is_empty()).answer(status, &page)
}
