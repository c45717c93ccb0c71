//! `/change-email`: a logged-in user who knows the password enters a new address, which is then
//! confirmed on `/verify-email`.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::email::Email;
use crate::domain::email_change::{self as domain, NewAddress};
use crate::domain::oauth::browser_session::Browser;
use crate::domain::password::Password;
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::login::redirect_to_login;
use crate::http::pages::message::MessagePage;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::reauthentication;
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// The errors of a form, by field.
#[derive(Default)]
struct Problems {
    email: String,
    password: String,
}

/// `/change-email`.
#[derive(Template)]
#[template(path = "email.html")]
struct EmailPage<'a> {
    texts: &'static Texts,
    csrf: &'a str,
    /// The present address.
    username: &'a str,
    /// The submitted address.
    email: &'a str,
    problems: &'a Problems,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read(request).await?;
    let Some(browser) = &call.visitor.browser else { return Ok(redirect_to_login("change-email")) };
    if !call.app.mail.is_on() {
        let Texts { forgotten, email: texts, common, .. } = texts::current();
        let link = Some(("account", common.your_account));
        let page = MessagePage::new(forgotten.mail_is_off, texts.contact_operator, link);
        return Err(page.answer(StatusCode::NOT_FOUND));
    }
    if call.is_post() {
        return change(&call, browser).await;
    }
    Ok(show(&call, browser, &Problems::default(), StatusCode::OK))
}

fn show(
    call: &PageRequest,
    browser: &Browser,
    problems: &Problems,
    status: StatusCode,
) -> Response {
    let texts = texts::current();
    let page = EmailPage {
        texts,
        csrf: &call.visitor.csrf(),
        username: &browser.account.email_claims().email,
        email: call.params.get("email").unwrap_or_default(),
        problems,
    };
    let has_problem = !problems.email.is_empty() || !problems.password.is_empty();
    Page::of_form(texts.email.title, has_problem).answer(status, &page)
}

async fn change(call: &PageRequest, browser: &Browser) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let again = |problems: Problems, status| show(call, browser, &problems, status);
    let of_password =
        |password: &str| Problems { password: password.to_owned(), ..Problems::default() };
    let email = parse(call, browser).map_err(|problem| {
        let problems = Problems { email: problem.to_owned(), ..Problems::default() };
        again(problems, StatusCode::BAD_REQUEST)
    })?;
    let refused =
        || again(of_password(texts::current().common.wrong_password), StatusCode::BAD_REQUEST);
    let password = Password::parse(call.params.get("password").unwrap_or_default());
    let password = password.map_err(|_| refused())?;
    let limited = |text: &str| again(of_password(text), StatusCode::TOO_MANY_REQUESTS);
    let confirmation = reauthentication::admit(call, browser, password, &origin, limited).await?;
    let new = NewAddress { email, device_digest: call.visitor.cookie_digest() };
    match domain::request(&app.db, &app.hasher, confirmation, new, now).await {
        Ok(()) => Ok(see_other(&request_language::keep_in("verify-email"))),
        Err(error) => Err(reauthentication::failure(call, &error).unwrap_or_else(refused)),
    }
}

/// The new address, or why it cannot be used.
fn parse(call: &PageRequest, browser: &Browser) -> Result<Email, &'static str> {
    let email = Email::parse(call.params.get("email").unwrap_or_default());
    let Texts { email: texts, common, .. } = texts::current();
    let email = email.map_err(|error| (common.email_error)(error))?;
    if email.address() == browser.account.email_canonical {
        return Err(texts.unchanged);
    }
    Ok(email)
}
