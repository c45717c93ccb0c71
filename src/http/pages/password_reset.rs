//! `/reset-password`: sets a new password with the link or the code of a mail.
//!
//! Mail scanners open links, so opening the link changes nothing: the form must be submitted.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::forgotten_password;
use crate::domain::password::Password;
use crate::domain::password_reset::{self as domain, Reset, ResetError};
use crate::http::origin;
use crate::http::pages::forgotten_password::mail_is_off;
use crate::http::pages::layout::Page;
use crate::http::pages::message::{MessagePage, limited_on, unavailable};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::password_hint;
use crate::http::redirect::see_other;

/// Where a successful reset redirects.
const DONE: &str = "reset-password?done=reset";

/// The errors of the form, by field.
#[derive(Default)]
struct Problems {
    code: String,
    password: String,
}

/// `/reset-password`.
#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage<'a> {
    csrf: &'a str,
    /// The token of the link; empty if the code is used.
    token: &'a str,
    code: &'a str,
    problems: &'a Problems,
    /// The rules for the new password.
    rules: Vec<password_hint::Rule>,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read(request).await?;
    if !call.app.mail.is_on() {
        return Err(mail_is_off());
    }
    if call.is_post() {
        return reset(&call).await;
    }
    if call.has_completed("reset") {
        let text = "Your password was changed, and all your logins have ended.";
        let page = MessagePage::new("Password changed", text, Some(("login", "Log in")));
        return Ok(page.answer(StatusCode::OK));
    }
    Ok(call.visitor.set_cookie(&call.app, show(&call, &Problems::default(), StatusCode::OK)))
}

async fn reset(call: &PageRequest) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let again = |problems: &Problems, status| show(call, problems, status);
    let of_password = |password| Problems { password, ..Problems::default() };
    let password = Password::parse(call.params.get("new_password").unwrap_or_default());
    let password = password.map_err(|error| {
        again(&of_password(password_hint::unusable(error)), StatusCode::BAD_REQUEST)
    })?;
    let limited = |text: &str| again(&of_password(text.to_owned()), StatusCode::TOO_MANY_REQUESTS);
    let admitted = app.limits.admit_reset(&app.db, &origin).await;
    let admitted = admitted.map_err(|error| limited_on(&error, limited))?;
    let (policy, limit_key) = (app.password_policy, app.limits.key());
    let (origin, mail) = (&origin, &app.mail);
    let reset = Reset { password, policy, limit_key, admitted, origin, mail };
    let (db, hasher, tokens) = (&app.db, &app.hasher, &app.reset_tokens);
    let done = match token_of(call) {
        "" => {
            let code = call.params.get("code").unwrap_or_default();
            let proof = (call.visitor.cookie_digest(), code);
            Box::pin(forgotten_password::redeem_code(db, hasher, tokens, proof, reset, now)).await
        }
        token => Box::pin(domain::redeem(db, hasher, (tokens, token), reset, now)).await,
    };
    match done {
        Ok(()) => Ok(see_other(DONE)),
        Err(ResetError::NoAccount | ResetError::Rejected) => Err(rejected(call)),
        Err(ResetError::Weak(weaknesses)) => {
            let problem = password_hint::problem(&weaknesses);
            Err(again(&of_password(problem), StatusCode::BAD_REQUEST))
        }
        Err(cause @ (ResetError::Token(_) | ResetError::Hashing(_) | ResetError::Database(_))) => {
            Err(unavailable(&cause))
        }
    }
}

fn token_of(call: &PageRequest) -> &str {
    call.params.get("token").unwrap_or_default()
}

/// The page for a link or a code that is not valid. It does not say why.
fn rejected(call: &PageRequest) -> Response {
    if token_of(call).is_empty() {
        let code = "This code is not right, or no longer valid, or was requested in another \
                    browser. The link in the mail works in every browser.";
        let problems = Problems { code: code.to_owned(), ..Problems::default() };
        return show(call, &problems, StatusCode::BAD_REQUEST);
    }
    let text = "It was used, or is older than half an hour, or a newer one was sent.";
    let link = Some(("forgot-password", "Request a new link"));
    MessagePage::new("This link is no longer valid", text, link).answer(StatusCode::BAD_REQUEST)
}

fn show(call: &PageRequest, problems: &Problems, status: StatusCode) -> Response {
    let page = ResetPage {
        csrf: &call.visitor.csrf(),
        token: token_of(call),
        code: call.params.get("code").unwrap_or_default(),
        problems,
        rules: password_hint::rules(call.app.password_policy),
    };
    let has_problem = !problems.code.is_empty() || !problems.password.is_empty();
    Page::of_form("Set a new password", has_problem).answer(status, &page)
}
