//! `/login`: the same limits, decoy and audit as the JSON API's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::email::Email;
use crate::domain::oauth::flow::FlowError;
use crate::domain::oauth::hosted_login::{self, Entrance};
use crate::domain::oauth::opaque::Opaque;
use crate::domain::password::Password;
use crate::domain::session::{BrowserCookie, LogIn, LogInError};
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::page::render_towards;
use crate::http::pages::templates::LoginPage;
use crate::http::pages::waiting::Waiting;
use crate::http::pages::{Call, Visit, limited_on, see, stale, unavailable};

/// The same for an unknown address, a wrong password and a disabled account.
const REFUSED: &str = "The email address or the password is not right.";

/// Pages of ours that a login leads on to, if one of them was asked for.
const WANTED: [&str; 3] = ["account", "change-password", "delete-account"];

/// The form is from before a logout, or from a tab that was opened together with another one.
const OUT_OF_DATE: &str = "This page was out of date, or your browser keeps no cookies of this site. \
     Enter the password again.";

/// The form is from before somebody else logged in here.
const SOMEBODY_ELSE: &str = "Another account is logged in to this browser by now. \
     Enter the password again to switch to this one.";

pub(super) async fn answer(request: Request) -> Response {
    Box::pin(answered(request)).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read_any(request).await?;
    let waiting = call.waiting().await?;
    if call.is_post() && call.only_opens() && call.visit.is_new() && !call.is_same_origin() {
        return Ok(see("login"));
    }
    if call.is_post() && !call.only_opens() {
        return if call.is_current {
            log_in(&call, waiting).await
        } else {
            let again = |username: &str, problem: &str| {
                let (then, problem) = (wanted(&call), Some(problem));
                let form = Form::of(&call.visit, waiting.as_ref());
                Form { then, username, problem, ..form }.render()
            };
            go_on_if_same(&call, waiting.clone(), again).await
        };
    }
    if waiting.is_none() && call.visit.browser.is_some() {
        return Ok(see(wanted(&call)));
    }
    let form = Form { then: wanted(&call), ..Form::of(&call.visit, waiting.as_ref()) };
    Ok(call.visit.remember(&call.app, form.render()))
}

/// The page of ours that was asked for before the login.
fn wanted(call: &Call) -> &'static str {
    let then = call.params.get("then");
    WANTED.into_iter().find(|page| then == Some(*page)).unwrap_or(WANTED[0])
}

/// Leads to the login, which leads back to a page of ours.
pub(super) fn lead_to_login(page: &'static str) -> Response {
    see(&format!("login?then={page}"))
}

/// The answer to a form from before this browser's login or logout, pressed twice or in a tab that stayed
/// open: if whoever is logged in is who was typed, the request goes on, as if it came now. If not, the form
/// is shown `again`. Nothing else is done.
pub(super) async fn go_on_if_same(
    call: &Call,
    waiting: Option<Waiting>,
    again: impl FnOnce(&str, &str) -> Response,
) -> Result<Response, Response> {
    let typed = call.params.get("username").unwrap_or_default();
    let Some(browser) = &call.visit.browser else {
        // A form of another site comes without the cookie, and must not replace it.
        return Err(if call.is_same_origin() {
            call.visit.remember(&call.app, again(typed, OUT_OF_DATE))
        } else {
            stale(&call.visit)
        });
    };
    let email = Email::parse_known(typed).ok();
    if !email.is_some_and(|it| browser.account.has_address(it.address(), it.folded())) {
        return Err(again(typed, SOMEBODY_ELSE));
    }
    Ok(match waiting {
        None => see(wanted(call)),
        Some(waiting) => Box::pin(call.go_on(waiting, &call.visit, None)).await,
    })
}

/// What the page shows.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) visit: &'a Visit,
    pub(super) waiting: Option<&'a Waiting>,
    /// What leads from the page to where the others are.
    pub(super) up: &'a str,
    /// The page of ours that follows if no request waits.
    pub(super) then: &'static str,
    /// What was typed, or who is expected.
    pub(super) username: &'a str,
    /// Why the last attempt did not work.
    pub(super) problem: Option<&'a str>,
}

impl<'a> Form<'a> {
    /// Before the first attempt.
    pub(super) fn of(visit: &'a Visit, waiting: Option<&'a Waiting>) -> Self {
        let username = waiting.and_then(|it| it.pending.request.login_hint.as_deref());
        let (username, then) = (username.unwrap_or_default(), WANTED[0]);
        Self { visit, waiting, up: "", then, username, problem: None }
    }

    pub(super) fn render(&self) -> Response {
        let page = LoginPage {
            csrf: &self.visit.csrf(),
            up: self.up,
            flow: self.waiting.map_or("", |it| &it.flow),
            sealed_for: &URL_SAFE_NO_PAD.encode(self.visit.digest()),
            then: self.then,
            client_name: self.waiting.map_or("", |it| &it.client.name),
            username: self.username,
            problem: self.problem.unwrap_or_default(),
            is_wrong: self.problem == Some(REFUSED),
        };
        let status = if self.problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let destinations = self.waiting.map(Waiting::destinations).unwrap_or_default();
        render_towards(status, &page, &destinations)
    }
}

async fn log_in(call: &Call, waiting: Option<Waiting>) -> Result<Response, Response> {
    let username = call.params.get("username").unwrap_or_default();
    let (then, problem) = (wanted(call), Some(REFUSED));
    let form = Form { then, username, problem, ..Form::of(&call.visit, waiting.as_ref()) };
    let (Ok(email), Ok(password)) = (
        Email::parse_known(username),
        Password::parse(call.params.get("password").unwrap_or_default()),
    ) else {
        return Err(form.render());
    };
    let limited = |text: &str| Form { problem: Some(text), ..form }.render();
    match enter(call, waiting.clone(), &email, password, then, limited).await? {
        Some(entered) => Ok(entered),
        None => Err(form.render()),
    }
}

/// Logs in, and goes on with what was waiting, or else to a page of ours; `None` if the password is not
/// right. `limited` is the page that tells whoever tried too often to wait.
pub(super) async fn enter(
    call: &Call,
    waiting: Option<Waiting>,
    email: &Email,
    password: Password,
    page: &str,
    limited: impl FnOnce(&str) -> Response,
) -> Result<Option<Response>, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let admitted = app.limits.admit_log_in(&app.db, email, &origin).await;
    let admitted = admitted.map_err(|it| limited_on(&it, limited))?;
    let attempt = LogIn { email, password, admitted, origin: &origin };
    let cookie = NewCookie::of(call, waiting.as_ref());
    let cookie = cookie.map_err(|error| respond::failed(&error))?;
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

/// A new cookie for a new login: a planted one is good for nothing then.
pub(super) struct NewCookie {
    text: String,
    pub(super) entrance: Entrance,
}

impl NewCookie {
    pub(super) fn of(call: &Call, waiting: Option<&Waiting>) -> Result<Self, FlowError> {
        let drawn = Opaque::draw("")?;
        let cookie = BrowserCookie { digest: drawn.digest, previous_digest: call.visit.digest() };
        let client_id = waiting.map(|it| it.client.id.clone());
        Ok(Self { text: drawn.text, entrance: Entrance { cookie, client_id } })
    }

    /// Gives it to the browser, whose login has begun, and goes on with what was waiting, or else to a page
    /// of ours.
    pub(super) async fn hand_over(
        self,
        call: &Call,
        waiting: Option<Waiting>,
        page: &str,
    ) -> Result<Response, Response> {
        let next = match waiting {
            None => see(page),
            Some(waiting) => {
                let visit = Visit::with(&call.app, &self.text).await;
                let visit = visit.map_err(|error| respond::failed(&error))?;
                Box::pin(call.go_on(waiting, &visit, None)).await
            }
        };
        Ok(call.app.cookie.set(next, &self.text))
    }
}
