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
use crate::http::request_language;
use crate::http::texts::{self, Texts};

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
    texts: &'static Texts,
    /// The value of `ui_locales` for the next page; may be empty.
    ui_locales: &'static str,
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
        return Ok(done());
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
    let form = call.form_digest();
    let reset = Reset { password, policy, limit_key, admitted, origin, mail, form };
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
        Ok(()) => Ok(see_other(&request_language::keep_in(DONE))),
        Err(ResetError::NoAccount | ResetError::Rejected) if call.is_repetition().await? => {
            Ok(see_other(&request_language::keep_in(DONE)))
        }
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

/// The page after a reset.
fn done() -> Response {
    let Texts { reset: texts, common, .. } = texts::current();
    let login = request_language::keep_in("login");
    let link = Some((login.as_str(), common.log_in));
    MessagePage::new(texts.done, texts.all_ended, link).answer(StatusCode::OK)
}

fn token_of(call: &PageRequest) -> &str {
    call.params.get("token").unwrap_or_default()
}

/// The page for a link or a code that is not valid. It does not reveal the reason.
fn rejected(call: &PageRequest) -> Response {
    let texts = &texts::current().reset;
    if token_of(call).is_empty() {
        let problems = Problems { code: texts.wrong_code.to_owned(), ..Problems::default() };
        return show(call, &problems, StatusCode::BAD_REQUEST);
    }
    let forgotten = request_language::keep_in("forgot-password");
    let link = Some((forgotten.as_str(), texts.new_link));
    MessagePage::new(texts.invalid_link, texts.why_invalid, link).answer(StatusCode::BAD_REQUEST)
}

fn show(call: &PageRequest, problems: &Problems, status: StatusCode) -> Response {
    let texts = texts::current();
    let page = ResetPage {
        texts,
        ui_locales: request_language::ui_locales(),
        csrf: &call.visitor.csrf(),
        token: token_of(call),
        code: call.params.get("code").unwrap_or_default(),
        problems,
        rules: password_hint::rules(call.app.password_policy),
    };
    let has_problem = !problems.code.is_empty() || !problems.password.is_empty();
    Page::of_form(texts.reset.title, has_problem).answer(status, &page)
}
