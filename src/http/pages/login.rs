//! `/login`, with the same limits, decoy hash and audit events as a login at the JSON API.

use poem::{Request, Response};

use crate::domain::email::Email;
use crate::domain::oauth::hosted_login;
use crate::domain::password::Password;
use crate::domain::session::{LogIn, LogInError};
use crate::http::origin;
use crate::http::pages::authorization_flow::continue_flow;
use crate::http::pages::login_form::{Form, NEXT_PAGES};
use crate::http::pages::message::{self, limited_on, stale, unavailable};
use crate::http::pages::new_login::NewCookie;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::verify_email;
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::http::texts;

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let pending_request = call.pending_request().await?;
    // The form may be cross-site: browsers send such a form without the cookie. This redirect sets
    // no cookie, because a new cookie would replace the existing one.
    if call.is_post() && call.only_opens() && call.visitor.is_new() && !call.is_same_origin() {
        return Ok(see_other(&request_language::keep_in("login")));
    }
    if call.is_post() && !call.only_opens() {
        return if call.is_current {
            log_in(&call, pending_request).await
        } else {
            let again = |username: &str, problem: &str| {
                let form = Form::of(&call.app, &call.visitor, pending_request.as_ref());
                Form { next_page: next_page(&call), username, problem, ..form }.answer()
            };
            continue_if_same(&call, pending_request.clone(), again).await
        };
    }
    if pending_request.is_none() && call.visitor.browser.is_some() {
        return Ok(see_other(next_page(&call)));
    }
    let form = Form {
        next_page: next_page(&call),
        ..Form::of(&call.app, &call.visitor, pending_request.as_ref())
    };
    Ok(call.visitor.set_cookie(&call.app, form.answer()))
}

/// The page to redirect to after the login.
fn next_page(call: &PageRequest) -> &'static str {
    let requested = call.params.get("then");
    NEXT_PAGES.into_iter().find(|page| requested == Some(*page)).unwrap_or(NEXT_PAGES[0])
}

/// Redirects to the login page, which redirects to `page` after the login.
pub(super) fn redirect_to_login(page: &'static str) -> Response {
    see_other(&request_language::keep_in(&format!("login?then={page}")))
}

/// The response to a form that was loaded before this browser's last login or logout. The form was
/// submitted twice, or is from a tab that stayed open. If the submitted address is that of the
/// account now logged in, the request continues as if it had just arrived. Otherwise, or if the
/// form is from before a logout, `again` shows the form again. Nothing is changed.
pub(super) async fn continue_if_same(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
    again: impl FnOnce(&str, &str) -> Response,
) -> Result<Response, Response> {
    let username = call.params.get("username").unwrap_or_default();
    let is_restored = pending_request.as_ref().is_some_and(|it| it.is_restored);
    let browser = call.visitor.browser.as_ref().filter(|_| !is_restored);
    let texts = &texts::current().login;
    let Some(browser) = browser else {
        // The form predates a logout, or is from one of two tabs that were opened at the same time.
        // It may also be cross-site: browsers send such a form without the cookie, so the response
        // must not replace the cookie.
        return Err(if call.is_same_origin() {
            call.visitor.set_cookie(&call.app, again(username, texts.out_of_date))
        } else {
            stale(&call.visitor)
        });
    };
    let email = Email::parse_known(username).ok();
    if !email.is_some_and(|it| browser.account.has_address(it.address(), it.folded())) {
        return Err(again(username, texts.other_account));
    }
    Ok(match pending_request {
        None => see_other(next_page(call)),
        Some(pending_request) => {
            Box::pin(continue_flow(call, pending_request, &call.visitor, None)).await
        }
    })
}

async fn log_in(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
) -> Result<Response, Response> {
    let username = call.params.get("username").unwrap_or_default();
    let (next_page, problem) = (next_page(call), texts::current().login.refused);
    let form = Form {
        next_page,
        username,
        problem,
        ..Form::of(&call.app, &call.visitor, pending_request.as_ref())
    };
    let (Ok(email), Ok(password)) = (
        Email::parse_known(username),
        Password::parse(call.params.get("password").unwrap_or_default()),
    ) else {
        return Err(form.answer());
    };
    let limited = |text: &str| Form { problem: text, ..form }.answer();
    match log_in_and_continue(call, pending_request.clone(), &email, password, next_page, limited)
        .await?
    {
        Some(logged_in) => Ok(logged_in),
        None => Err(form.answer()),
    }
}

/// Logs in, and continues the pending request or redirects to `page`. Returns `None` if the
/// password is wrong. If the address must be verified first, the error is the page for that.
/// `limited` renders the page when a rate limit is exceeded.
pub(super) async fn log_in_and_continue(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
    email: &Email,
    password: Password,
    page: &str,
    limited: impl FnOnce(&str) -> Response,
) -> Result<Option<Response>, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let admitted = app.limits.admit_log_in(&app.db, email, &origin).await;
    let admitted = admitted.map_err(|it| limited_on(&it, limited))?;
    let (mail, unverified) = (&app.mail, app.sign_up_policy.unverified_logins());
    let attempt = LogIn { email, password, admitted, origin: &origin, mail, unverified };
    let cookie = NewCookie::of(call, pending_request.as_ref()).map_err(message::failed)?;
    let (entries, settings) = (&app.status_entries, &app.tokens);
    let attempt = (attempt, cookie.context.clone());
    match hosted_login::log_in(&app.db, &app.hasher, entries, attempt, settings, now).await {
        Ok(_) => Ok(Some(cookie.set_and_continue(call, pending_request, page).await?)),
        Err(LogInError::Refused) => Ok(None),
        Err(LogInError::EmailNotVerified(account_id)) => {
            Err(verify_email::after_refusal(call, pending_request.as_ref(), account_id))
        }
        // If the account changed during the check, the password may be right.
        Err(
            cause @ (LogInError::Changed
            | LogInError::Hashing(_)
            | LogInError::Status(_)
            | LogInError::Database(_)),
        ) => Err(unavailable(&cause)),
    }
}
