//! The link of a mail, at `/verify-email?token=…`.
//!
//! Mail scanners open links, so opening the link changes nothing: the form must be submitted. In a
//! browser that requested the mail, or is logged in to the account, the form has only a button. In
//! other browsers it requires the password of the account, or a new password, because the recipient
//! of the mail may not be the person who signed up.

use askama::Template;
use poem::Response;
use poem::http::StatusCode;

use crate::domain::account;
use crate::domain::email_challenge::Purpose;
use crate::domain::email_confirmation::{self as domain, ConfirmError, Confirmed, Link};
use crate::domain::password::Password;
use crate::domain::password_reset::{Reset, ResetError};
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::message::{self, MessagePage, limited_on, unavailable};
use crate::http::pages::new_login::log_in_confirmed;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::password_hint;
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// Where a confirmation without a new password redirects to.
pub(super) const fn done_page(confirmed: Confirmed) -> &'static str {
    match confirmed {
        Confirmed::Address => "verify-email?done=verified",
        Confirmed::NewAddress => "verify-email?done=changed",
        Confirmed::Account(_) => CREATED,
    }
}

/// The page that says that a sign-up has created the account.
const CREATED: &str = "verify-email?done=created";

/// The page that says that an account has its new password.
const PASSWORD_SET: &str = "reset-password?done=reset";

/// The errors of the forms, by field.
#[derive(Default)]
struct Problems {
    password: String,
    new_password: String,
}

/// The page of a link.
#[derive(Template)]
#[template(path = "verify_link.html")]
struct LinkPage<'a> {
    texts: &'static Texts,
    /// The value of `ui_locales` for the next page; may be empty.
    ui_locales: &'static str,
    csrf: &'a str,
    token: &'a str,
    email: &'a str,
    /// Whether the link changes the address of an account to `email`.
    is_new: bool,
    /// Whether the link creates the account.
    is_sign_up: bool,
    /// Whether the password is needed, because this browser neither requested the mail nor is
    /// logged in to the account.
    needs_password: bool,
    problems: &'a Problems,
    /// The rules for the new password.
    rules: Vec<password_hint::Rule>,
}

/// The page of a link, or the response to one of its forms.
pub(super) async fn answer(call: &PageRequest) -> Result<Response, Response> {
    if !call.is_post() {
        let link = find(call).await?.ok_or_else(invalid)?;
        let page = show(call, link, &Problems::default(), StatusCode::OK);
        return Ok(call.visitor.set_cookie(&call.app, page));
    }
    if call.params.get("new_password").is_some() {
        return set_password(call).await;
    }
    verify(call).await
}

/// The link, if it is valid.
async fn find(call: &PageRequest) -> Result<Option<Link>, Response> {
    let (app, token) = (&call.app, token_of(call));
    let found = Link::find(&app.db, &app.email_tokens, token, app.clock.now()).await;
    found.map_err(message::failed)
}

/// The link of a form, if it is valid. If the form is the repetition of a form that used the link,
/// the error is the redirect to `done`.
async fn find_for_form(call: &PageRequest, done: &str) -> Result<Link, Response> {
    match find(call).await? {
        Some(link) => Ok(link),
        None => Err(invalid_or_repeated(call, done).await?),
    }
}

async fn invalid_or_repeated(call: &PageRequest, done: &str) -> Result<Response, Response> {
    let is_repetition = call.is_repetition().await?;
    Ok(if is_repetition { see_other(&request_language::keep_in(done)) } else { invalid() })
}

/// What the link confirms, valid or not.
fn confirmed_by(call: &PageRequest) -> Confirmed {
    match call.app.email_tokens.decode(token_of(call)) {
        Some((Purpose::ChangeEmail, _)) => Confirmed::NewAddress,
        Some((Purpose::SignUp, content)) => Confirmed::Account(content.id),
        Some((Purpose::VerifyEmail | Purpose::ResetPassword, _)) | None => Confirmed::Address,
    }
}

fn token_of(call: &PageRequest) -> &str {
    call.params.get("token").unwrap_or_default()
}

/// The page for a link that is not valid. It does not reveal the reason.
fn invalid() -> Response {
    let Texts { reset, verification_link: texts, common, .. } = texts::current();
    let login = request_language::keep_in("login");
    let link = Some((login.as_str(), common.log_in));
    MessagePage::new(reset.invalid_link, texts.why_invalid, link).answer(StatusCode::BAD_REQUEST)
}

async fn verify(call: &PageRequest) -> Result<Response, Response> {
    let (app, origin) = (&call.app, origin::of(&call.request));
    let db = &app.db;
    let admitted = app.limits.admit_email_confirmation(db, &origin).await;
    // The attempt stays counted, whatever its result.
    drop(admitted.map_err(|error| message::limited(&error))?);
    let link = find_for_form(call, done_page(confirmed_by(call))).await?;
    let account_id = call.visitor.browser.as_ref().map(|browser| browser.account.id);
    let proven = match link.clone().prove(&call.visitor.cookie_digest(), account_id) {
        Ok(proven) => proven,
        Err(unproven) => {
            let again = |password: &str, status| {
                let problems = Problems { password: password.to_owned(), ..Problems::default() };
                show(call, link.clone(), &problems, status)
            };
            let typed = Password::parse(call.params.get("password").unwrap_or_default());
            let refused = || again(texts::current().common.wrong_password, StatusCode::BAD_REQUEST);
            let typed = typed.map_err(|_| refused())?;
            let limited = |text: &str| again(text, StatusCode::TOO_MANY_REQUESTS);
            let admitted = app.limits.admit_reauthentication(db, &link.email(), &origin).await;
            let admitted = admitted.map_err(|error| limited_on(&error, limited))?;
            let proof = (typed, admitted);
            let proven = unproven.prove_by_password(db, &app.hasher, proof, &origin).await;
            proven.map_err(|error| failure(&error).unwrap_or_else(refused))?
        }
    };
    match domain::confirm(db, proven, (&app.mail, &origin, call.form_digest())).await {
        Ok(Confirmed::Account(id)) => log_in_confirmed(call, None, id).await,
        Ok(confirmed) => Ok(see_other(&request_language::keep_in(done_page(confirmed)))),
        Err(ConfirmError::Rejected) => {
            Err(invalid_or_repeated(call, done_page(confirmed_by(call))).await?)
        }
        Err(error) => Err(failure(&error).unwrap_or_else(invalid)),
    }
}

/// The response to a failure. `None` if the password is wrong.
fn failure(error: &ConfirmError) -> Option<Response> {
    match error {
        ConfirmError::WrongPassword => None,
        ConfirmError::Rejected => Some(invalid()),
        ConfirmError::Hashing(_) | ConfirmError::Database(_) => Some(unavailable(error)),
    }
}

async fn set_password(call: &PageRequest) -> Result<Response, Response> {
    let (app, origin) = (&call.app, origin::of(&call.request));
    let admitted = app.limits.admit_email_confirmation(&app.db, &origin).await;
    let admitted = admitted.map_err(|error| message::limited(&error))?;
    let is_sign_up = matches!(confirmed_by(call), Confirmed::Account(_));
    let done = if is_sign_up { CREATED } else { PASSWORD_SET };
    let link = find_for_form(call, done).await?;
    let again = |new_password| {
        let problems = Problems { new_password, ..Problems::default() };
        show(call, link.clone(), &problems, StatusCode::BAD_REQUEST)
    };
    let password = Password::parse(call.params.get("new_password").unwrap_or_default());
    let password = password.map_err(|error| again(password_hint::unusable(error)))?;
    let weaknesses = account::weaknesses(app.password_policy, &password, &link.email());
    if !weaknesses.is_empty() {
        return Err(again(password_hint::problem(&weaknesses)));
    }
    let (policy, limit_key) = (app.password_policy, app.limits.key());
    let (origin, mail) = (&origin, &app.mail);
    let form = call.form_digest();
    let reset = Reset { password, policy, limit_key, admitted, origin, mail, form };
    let set = domain::set_password(&app.db, &app.hasher, link.clone(), reset);
    match Box::pin(set).await {
        Ok(()) => Ok(see_other(&request_language::keep_in(done))),
        Err(ResetError::NoAccount | ResetError::Rejected) => {
            Err(invalid_or_repeated(call, done).await?)
        }
        Err(ResetError::Weak(weaknesses)) => Err(again(password_hint::problem(&weaknesses))),
        Err(cause @ (ResetError::Token(_) | ResetError::Hashing(_) | ResetError::Database(_))) => {
            Err(unavailable(&cause))
        }
    }
}

fn show(call: &PageRequest, link: Link, problems: &Problems, status: StatusCode) -> Response {
    let account_id = call.visitor.browser.as_ref().map(|browser| browser.account.id);
    let email = link.email();
    let texts = texts::current();
    // The recipient of a mail to a new address may have nothing to do with the account, so the
    // account's present address is not shown.
    let new_email = link.new_email().map(str::to_owned);
    let is_sign_up = link.is_sign_up();
    let title = match new_email {
        Some(_) => texts.verification_link.confirm_new,
        None if is_sign_up => texts.verification_link.confirm_sign_up,
        None => texts.verification.title,
    };
    let page = LinkPage {
        texts,
        ui_locales: request_language::ui_locales(),
        csrf: &call.visitor.csrf(),
        token: token_of(call),
        email: new_email.as_deref().unwrap_or(email.address()),
        is_new: new_email.is_some(),
        is_sign_up,
        needs_password: link.prove(&call.visitor.cookie_digest(), account_id).is_err(),
        problems,
        rules: password_hint::rules(call.app.password_policy),
    };
    let has_problem = !problems.password.is_empty() || !problems.new_password.is_empty();
    Page::of_form(title, has_problem).answer(status, &page)
}
