//! `/change-password`: sets a new password for a logged-in user who knows the current one.
//!
//! All sessions end, this browser's included, because an attacker may have its cookie or codes that
//! were issued for the session. Then this browser gets a new session.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account;
use crate::domain::email::Email;
use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::hosted_login;
use crate::domain::password::Password;
use crate::domain::reauthentication::{
    self as domain, NewLogin, ReauthenticationError, Replacement,
};
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::login::{log_in_and_continue, redirect_to_login};
use crate::http::pages::message::{self, error, stale};
use crate::http::pages::new_login::NewCookie;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::{password_hint, reauthentication};
use crate::http::redirect::see_other;
use crate::http::texts::{self, Texts};

/// Where a successful change redirects.
const CHANGED: &str = "account?done=password";

/// The errors of a form, by field.
#[derive(Default)]
struct Problems {
    current: String,
    new: String,
}

/// `/change-password`.
#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    texts: &'static Texts,
    csrf: &'a str,
    account: &'a str,
    /// The address of the account, for password managers.
    username: &'a str,
    problems: &'a Problems,
    /// The rules for the new password.
    rules: Vec<password_hint::Rule>,
}

impl Problems {
    fn wrong_current_password() -> Self {
        Self { current: texts::current().common.wrong_password.to_owned(), ..Self::default() }
    }
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let Some(browser) = &call.visitor.browser else { return resubmit_without_session(&call).await };
    if call.is_post() && !call.is_current {
        return match reauthentication::account_of_form(&call) {
            Some(id) if id == browser.account.id => resubmit_with_new_session(&call, browser).await,
            _ => Err(stale(&call.visitor)),
        };
    }
    if call.is_post() {
        return change(&call, browser).await;
    }
    Ok(show(&call, browser, &Problems::default(), StatusCode::OK))
}

/// Processes a form that is submitted again before the response to its first submission has
/// arrived. The first submission has ended the session of the cookie. If the new password is
/// correct, the browser is logged in with it.
async fn resubmit_without_session(call: &PageRequest) -> Result<Response, Response> {
    let (db, now) = (&call.app.db, call.app.clock.now());
    if !(call.is_post() && call.is_current) {
        return Ok(redirect_to_login("change-password"));
    }
    let account = hosted_login::account_of_replaced(db, call.visitor.cookie_digest(), now).await;
    let account = account.map_err(message::failed)?;
    let Some(account) = account else { return Ok(redirect_to_login("change-password")) };
    let email = Email::of_account(&account.email_canonical);
    let logged_in = log_in_with_new_password(call, &email).await?;
    Ok(logged_in.unwrap_or_else(|| redirect_to_login("change-password")))
}

/// Processes a form that is submitted again after the browser got its new cookie. The browser keeps
/// this cookie, however often the form is submitted.
async fn resubmit_with_new_session(
    call: &PageRequest,
    browser: &Browser,
) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let again = || {
        let current = texts::current().password.before_last_login.to_owned();
        show(call, browser, &Problems { current, ..Problems::default() }, StatusCode::BAD_REQUEST)
    };
    let password = Password::parse(call.params.get("new_password").unwrap_or_default());
    let password = password.map_err(|_| again())?;
    let limited = |text: &str| limited(call, browser, text);
    let confirmation = reauthentication::admit(call, browser, password, &origin, limited).await?;
    match domain::check_password(&app.db, &app.hasher, confirmation, now).await {
        Ok(()) => Ok(see_other(CHANGED)),
        Err(error) => Err(reauthentication::failure(call, &error).unwrap_or_else(again)),
    }
}

async fn log_in_with_new_password(
    call: &PageRequest,
    email: &Email,
) -> Result<Option<Response>, Response> {
    let Ok(password) = Password::parse(call.params.get("new_password").unwrap_or_default()) else {
        return Ok(None);
    };
    let limited = |_: &str| error(StatusCode::TOO_MANY_REQUESTS);
    log_in_and_continue(call, None, email, password, CHANGED, limited).await
}

fn show(
    call: &PageRequest,
    browser: &Browser,
    problems: &Problems,
    status: StatusCode,
) -> Response {
    let account = match reauthentication::seal_account(call, browser) {
        Ok(account) => account,
        Err(error) => return message::failed(error),
    };
    let texts = texts::current();
    let page = PasswordPage {
        texts,
        csrf: &call.visitor.csrf(),
        account: &account,
        username: &browser.account.email_claims().email,
        problems,
        rules: password_hint::rules(call.app.password_policy),
    };
    let has_problem = !problems.current.is_empty() || !problems.new.is_empty();
    Page::of_form(texts.password.title, has_problem).answer(status, &page)
}

/// The page when a rate limit is exceeded.
fn limited(call: &PageRequest, browser: &Browser, text: &str) -> Response {
    let problems = Problems { current: text.to_owned(), ..Problems::default() };
    show(call, browser, &problems, StatusCode::TOO_MANY_REQUESTS)
}

async fn change(call: &PageRequest, browser: &Browser) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let again = |problems| show(call, browser, &problems, StatusCode::BAD_REQUEST);
    let limited = |text: &str| limited(call, browser, text);
    let SubmittedPasswords { current, new, problems } = validate(call, browser);
    let Some(current) = current else { return Err(again(problems)) };
    let confirmation = reauthentication::admit(call, browser, current, &origin, limited).await?;
    let Some(new) = new else {
        // The current password is checked, too, so that the form shows all errors at once.
        let checked = domain::check_password(&app.db, &app.hasher, confirmation, now).await;
        let Err(error) = checked else { return Err(again(problems)) };
        let both =
            || again(Problems { new: problems.new.clone(), ..Problems::wrong_current_password() });
        return Err(reauthentication::failure(call, &error).unwrap_or_else(both));
    };
    let cookie = NewCookie::of(call, None).map_err(message::failed)?;
    let new_login = NewLogin {
        entries: &app.status_entries,
        settings: &app.tokens,
        cookie: cookie.context.cookie.clone(),
    };
    let replacement = Replacement { password: new, new_login: Some(new_login) };
    match domain::change_password(&app.db, &app.hasher, confirmation, replacement, now).await {
        Ok(()) => cookie.set_and_continue(call, None, CHANGED).await,
        // The form was submitted twice, and the other request was faster.
        Err(ReauthenticationError::NotLoggedIn) => resubmit_without_session(call).await,
        Err(error) => Err(reauthentication::failure(call, &error)
            .unwrap_or_else(|| again(Problems::wrong_current_password()))),
    }
}

/// The submitted passwords and the errors of the form. An invalid password is `None`.
struct SubmittedPasswords {
    current: Option<Password>,
    new: Option<Password>,
    problems: Problems,
}

/// Validates both fields, so that the form shows all errors at once.
fn validate(call: &PageRequest, browser: &Browser) -> SubmittedPasswords {
    let password = |name| Password::parse(call.params.get(name).unwrap_or_default());
    let mut problems = Problems::default();
    let current = password("current_password");
    let current = current.map_err(|_| problems = Problems::wrong_current_password()).ok();
    let new = password("new_password");
    let new = new.map_err(|it| problems.new = password_hint::unusable(it)).ok();
    if let Some(new) = &new {
        let email = Email::of_account(&browser.account.email_canonical);
        problems.new =
            password_hint::problem(&account::weaknesses(call.app.password_policy, new, &email));
    }
    let new = new.filter(|_| problems.new.is_empty());
    SubmittedPasswords { current, new, problems }
}
