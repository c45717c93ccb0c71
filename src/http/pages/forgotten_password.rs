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
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// `/forgot-password`.
#[derive(Template)]
#[template(path = "forgotten.html")]
struct ForgottenPage<'a> {
    texts: &'static Texts,
    /// The value of `ui_locales` for the next page; may be empty.
    ui_locales: &'static str,
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
    let Texts { forgotten: texts, common, .. } = texts::current();
    let login = request_language::keep_in("login");
    let link = Some((login.as_str(), common.log_in));
    let page = MessagePage::new(texts.mail_is_off, texts.contact_operator, link);
    page.answer(StatusCode::NOT_FOUND)
}

/// Requests the mail. The next page is the same for every address, so that it does not reveal
/// whether the address has an account.
async fn request_mail(call: &PageRequest) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let username = call.params.get("username").unwrap_or_default();
    let email = Email::parse_known(username).map_err(|error| {
        let problem = (texts::current().common.email_error)(error);
        show(call, username, problem, StatusCode::BAD_REQUEST)
    })?;
    let limited = |text: &str| show(call, username, text, StatusCode::TOO_MANY_REQUESTS);
    let admitted = app.limits.admit_reset_request(&app.db, &email, &origin).await;
    let admitted = admitted.map_err(|error| limited_on(&error, limited))?;
    let device_digest = call.visitor.cookie_digest();
    let forgotten = Forgotten { email: &email, device_digest, admitted, origin: &origin };
    domain::request(&app.db, &app.mail, forgotten, now).await.map_err(message::failed)?;
    Ok(see_other(&request_language::keep_in("reset-password")))
}

fn show(call: &PageRequest, username: &str, problem: &str, status: StatusCode) -> Response {
    let csrf = call.visitor.csrf();
    let (texts, ui_locales) = (texts::current(), request_language::ui_locales());
    let page = ForgottenPage { texts, ui_locales, csrf: &csrf, username, problem };
    Page::of_form(texts.forgotten.title, !problem.is_empty()).answer(status, &page)
}
