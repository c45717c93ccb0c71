//! `/login`: with the same limits, decoy hash and audit events as the JSON API.

use poem::{Request, Response};

use crate::domain::email::Email;
use crate::domain::oauth::hosted_login::{self, Entrance};
use crate::domain::oauth::pending_authorization::FlowError;
use crate::domain::oauth::secret::Secret;
use crate::domain::password::Password;
use crate::domain::session::{BrowserCookie, LogIn, LogInError};
use crate::http::origin;
use crate::http::pages::authorization_flow::continue_flow;
use crate::http::pages::login_form::{Form, REFUSED, WANTED};
use crate::http::pages::message::{self, limited_on, stale, unavailable};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::redirect::see_other;
use crate::http::request_context::RequestContext;

/// The form predates a logout, or is from a tab that was opened together with another one.
const OUT_OF_DATE: &str = "This page was out of date, or your browser keeps no cookies of this site. \
     Enter the password again.";

/// The form predates a login with another account in this browser.
const SOMEBODY_ELSE: &str = "Another account is logged in to this browser by now. \
     Enter the password again to switch to this one.";

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let waiting = call.waiting().await?;
    if call.is_post() && call.only_opens() && call.visitor.is_new() && !call.is_same_origin() {
        return Ok(see_other("login"));
    }
    if call.is_post() && !call.only_opens() {
        return if call.is_current {
            log_in(&call, waiting).await
        } else {
            let again = |username: &str, problem: &str| {
                let form = Form::of(&call.visitor, waiting.as_ref());
                Form { then: wanted(&call), username, problem, ..form }.answer()
            };
            continue_if_same(&call, waiting.clone(), again).await
        };
    }
    if waiting.is_none() && call.visitor.browser.is_some() {
        return Ok(see_other(wanted(&call)));
    }
    let form = Form { then: wanted(&call), ..Form::of(&call.visitor, waiting.as_ref()) };
    Ok(call.visitor.remember(&call.app, form.answer()))
}

/// The page to redirect to after the login.
fn wanted(call: &PageRequest) -> &'static str {
    let then = call.params.get("then");
    WANTED.into_iter().find(|page| then == Some(*page)).unwrap_or(WANTED[0])
}

/// Redirects to the login, which redirects back to a page of ours.
pub(super) fn redirect_to_login(page: &'static str) -> Response {
    see_other(&format!("login?then={page}"))
}

/// The response to a form from before this browser's login or logout, submitted twice or in a tab
/// that stayed open. If the submitted address is that of the account now logged in, the request
/// continues as if it had just arrived. If not, or if the form is from before a logout, the form is
/// shown `again`. Nothing else is changed.
pub(super) async fn continue_if_same(
    call: &PageRequest,
    waiting: Option<PendingRequest>,
    again: impl FnOnce(&str, &str) -> Response,
) -> Result<Response, Response> {
    let typed = call.params.get("username").unwrap_or_default();
    let is_restored = waiting.as_ref().is_some_and(|it| it.is_restored);
    let browser = call.visitor.browser.as_ref().filter(|_| !is_restored);
    let Some(browser) = browser else {
        // A cross-site form comes without the cookie, and must not replace it.
        return Err(if call.is_same_origin() {
            call.visitor.remember(&call.app, again(typed, OUT_OF_DATE))
        } else {
            stale(&call.visitor)
        });
    };
    let email = Email::parse_known(typed).ok();
    if !email.is_some_and(|it| browser.account.has_address(it.address(), it.folded())) {
        return Err(again(typed, SOMEBODY_ELSE));
    }
    Ok(match waiting {
        None => see_other(wanted(call)),
        Some(waiting) => Box::pin(continue_flow(call, waiting, &call.visitor, None)).await,
    })
}

async fn log_in(call: &PageRequest, waiting: Option<PendingRequest>) -> Result<Response, Response> {
    let username = call.params.get("username").unwrap_or_default();
    let (then, problem) = (wanted(call), REFUSED);
    let form = Form { then, username, problem, ..Form::of(&call.visitor, waiting.as_ref()) };
    let (Ok(email), Ok(password)) = (
        Email::parse_known(username),
        Password::parse(call.params.get("password").unwrap_or_default()),
    ) else {
        return Err(form.answer());
    };
    let limited = |text: &str| Form { problem: text, ..form }.answer();
    match enter(call, waiting.clone(), &email, password, then, limited).await? {
        Some(entered) => Ok(entered),
        None => Err(form.answer()),
    }
}

/// Logs in, and continues the pending request or redirects to a page of ours; `None` if the
/// password is wrong. `limited` renders the page when a rate limit is exceeded.
pub(super) async fn enter(
    call: &PageRequest,
    waiting: Option<PendingRequest>,
    email: &Email,
    password: Password,
    page: &str,
    limited: impl FnOnce(&str) -> Response,
) -> Result<Option<Response>, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let admitted = app.limits.admit_log_in(&app.db, email, &origin).await;
    let admitted = admitted.map_err(|it| limited_on(&it, limited))?;
    let attempt = LogIn { email, password, admitted, origin: &origin };
    let cookie = NewCookie::of(call, waiting.as_ref()).map_err(message::failed)?;
    let (entries, settings) = (&app.status_entries, &app.tokens);
    let attempt = (attempt, cookie.entrance.clone());
    match hosted_login::log_in(&app.db, &app.hasher, entries, attempt, settings, now).await {
        Ok(_) => Ok(Some(cookie.hand_over(call, waiting, page).await?)),
        Err(LogInError::Refused | LogInError::Changed) => Ok(None),
        Err(cause @ (LogInError::Hashing(_) | LogInError::Status(_) | LogInError::Database(_))) => {
            Err(unavailable(&cause))
        }
    }
}

/// A new cookie for a new login, against session fixation.
pub(super) struct NewCookie {
    text: String,
    pub(super) entrance: Entrance,
}

impl NewCookie {
    pub(super) fn of(
        call: &PageRequest,
        waiting: Option<&PendingRequest>,
    ) -> Result<Self, FlowError> {
        let secret = Secret::generate("")?;
        let received_at = RequestContext::current().map(|request| request.at);
        let cookie = BrowserCookie {
            digest: secret.digest,
            previous_digest: call.visitor.digest(),
            received_at: received_at.unwrap_or_else(|| call.app.clock.now()),
        };
        let client_id = waiting.map(|it| it.client.id.clone());
        Ok(Self { text: secret.text, entrance: Entrance { cookie, client_id } })
    }

    /// Sets the cookie of the new login, and continues the pending request or redirects to a page
    /// of ours.
    pub(super) async fn hand_over(
        self,
        call: &PageRequest,
        waiting: Option<PendingRequest>,
        page: &str,
    ) -> Result<Response, Response> {
        let next = match waiting {
            None => see_other(page),
            Some(waiting) => {
                let visitor =
                    Visitor::with(&call.app, &self.text).await.map_err(message::failed)?;
                Box::pin(continue_flow(call, waiting, &visitor, None)).await
            }
        };
        Ok(call.app.cookie.set(next, &self.text))
    }
}
