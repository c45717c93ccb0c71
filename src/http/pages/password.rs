//! `/change-password`: a new password for whoever is logged in and knows the current one.
//!
//! All logins end, and a new one takes the place of this browser's: the cookie of the old one, and codes
//! that it got, may be in the hands of whoever is to be locked out.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account;
use crate::domain::confirm::{self as domain, NewLogin, Replacement};
use crate::domain::email::Email;
use crate::domain::oauth::browser::Browser;
use crate::domain::oauth::opaque::Opaque;
use crate::domain::password::Password;
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::page::render;
use crate::http::pages::templates::PasswordPage;
use crate::http::pages::visit::with_cookie;
use crate::http::pages::{Call, confirm, rule};

/// What is wrong with what was typed, next to its field.
#[derive(Default)]
struct Problems {
    current: String,
    new: String,
}

impl Problems {
    fn of_current() -> Self {
        Self { current: confirm::REFUSED.to_owned(), ..Self::default() }
    }
}

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    let Some(browser) = &call.visit.browser else { return Ok(call.lead_to("login")) };
    if call.is_post() {
        return change(&call, browser).await;
    }
    Ok(show(&call, browser, &Problems::default(), StatusCode::OK))
}

fn show(call: &Call, browser: &Browser, problems: &Problems, status: StatusCode) -> Response {
    let page = PasswordPage {
        csrf: &call.visit.csrf(),
        username: &browser.account.email_claims().email,
        current_problem: &problems.current,
        new_problem: &problems.new,
        hint: rule::hint(call.app.password_policy),
    };
    render(status, &page)
}

async fn change(call: &Call, browser: &Browser) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let again = |problems| show(call, browser, &problems, StatusCode::BAD_REQUEST);
    let (current, new) = validate(call, browser).map_err(again)?;
    let confirmation = confirm::admit(call, browser, current, &origin).await?;
    let cookie = Opaque::draw("").map_err(|error| respond::failed(&error.into()))?;
    let new_login = NewLogin {
        entries: &app.status_entries,
        settings: &app.tokens,
        cookie_digest: cookie.digest,
    };
    let replacement = Replacement { password: new, new_login: Some(new_login) };
    match domain::change_password(&app.db, &app.hasher, confirmation, replacement, now).await {
        Ok(()) => Ok(with_cookie(call.see("account?done=password"), &cookie.text)),
        Err(error) => {
            Err(confirm::failure(call, &error).unwrap_or_else(|| again(Problems::of_current())))
        }
    }
}

/// Checks both fields, so that the form shows all that is wrong at once.
fn validate(call: &Call, browser: &Browser) -> Result<(Password, Password), Problems> {
    let typed = |name| Password::parse(call.params.get(name).unwrap_or_default());
    let mut problems = Problems::default();
    let current = typed("current_password").map_err(|_| problems = Problems::of_current()).ok();
    let new = typed("new_password").map_err(|it| problems.new = rule::problem(&[it])).ok();
    if let Some(new) = &new {
        let email = Email::of_account(&browser.account.email_canonical);
        problems.new = rule::problem(&account::weaknesses(call.app.password_policy, new, &email));
    }
    match (current, new) {
        (Some(current), Some(new)) if problems.new.is_empty() => Ok((current, new)),
        _ => Err(problems),
    }
}
