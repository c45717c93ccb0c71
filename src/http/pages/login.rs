//! `/login`: the same limits, decoy and audit as the JSON API's.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::oauth::browser::{self, Takeover};
use crate::domain::oauth::flow::FlowError;
use crate::domain::oauth::opaque::Opaque;
use crate::domain::password::Password;
use crate::domain::session::{self, Granted, LogIn, LogInError};
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::page::render_towards;
use crate::http::pages::templates::LoginPage;
use crate::http::pages::visit::with_cookie;
use crate::http::pages::waiting::Waiting;
use crate::http::pages::{Call, Visit, limited, unavailable};

/// The same for an unknown address, a wrong password and a disabled account.
const REFUSED: &str = "The email address or the password is not right.";

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    let waiting = call.waiting().await?;
    if call.is_post() && !call.only_opens() {
        return log_in(&call, waiting).await;
    }
    if waiting.is_none() && call.visit.browser.is_some() {
        return Ok(call.lead_to("account"));
    }
    Ok(call.visit.remember(Form::of(&call.visit, waiting.as_ref()).render()))
}

/// What the page shows.
pub(super) struct Form<'a> {
    pub(super) visit: &'a Visit,
    pub(super) waiting: Option<&'a Waiting>,
    /// What leads from the page to where the others are.
    pub(super) up: &'a str,
    /// What was typed, or who is expected.
    pub(super) username: &'a str,
    /// Why the last attempt did not work.
    pub(super) problem: Option<&'a str>,
}

impl<'a> Form<'a> {
    /// Before the first attempt.
    pub(super) fn of(visit: &'a Visit, waiting: Option<&'a Waiting>) -> Self {
        let username = waiting.and_then(|it| it.pending.request.login_hint.as_deref());
        Self { visit, waiting, up: "", username: username.unwrap_or_default(), problem: None }
    }

    pub(super) fn render(&self) -> Response {
        let page = LoginPage {
            csrf: &self.visit.csrf(),
            up: self.up,
            flow: self.waiting.map_or("", |it| &it.flow),
            client_name: self.waiting.map_or("", |it| &it.client.name),
            username: self.username,
            problem: self.problem.unwrap_or_default(),
        };
        let status = if self.problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let destinations = self.waiting.map(Waiting::destinations).unwrap_or_default();
        render_towards(status, &page, &destinations)
    }
}

async fn log_in(call: &Call, waiting: Option<Waiting>) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let username = call.params.get("username").unwrap_or_default();
    let form = Form { username, problem: Some(REFUSED), ..Form::of(&call.visit, waiting.as_ref()) };
    let refused = || form.render();
    let (Ok(email), Ok(password)) = (
        Email::parse_known(username),
        Password::parse(call.params.get("password").unwrap_or_default()),
    ) else {
        return Err(refused());
    };
    let admitted = app.limits.admit_log_in(&app.db, &email, &origin).await;
    let admitted = admitted.map_err(|it| limited(&it))?;
    let attempt = LogIn { email: &email, password, admitted, origin: &origin };
    match session::log_in(&app.db, &app.hasher, &app.status_entries, attempt, &app.tokens, now)
        .await
    {
        Ok(granted) => enter(call, waiting, &granted, &origin).await,
        Err(LogInError::Refused | LogInError::Changed) => Err(refused()),
        Err(cause @ (LogInError::Hashing(_) | LogInError::Status(_) | LogInError::Database(_))) => {
            Err(unavailable(&cause))
        }
    }
}

/// Gives the browser a new cookie for its new login (a planted one is good for nothing then), and
/// goes on with what was waiting.
pub(super) async fn enter(
    call: &Call,
    waiting: Option<Waiting>,
    granted: &Granted,
    origin: &Origin,
) -> Result<Response, Response> {
    let app = &call.app;
    let failed = |error: FlowError| respond::failed(&error);
    let cookie = Opaque::draw("").map_err(|error| failed(error.into()))?;
    let takeover = Takeover {
        session_id: granted.session_id,
        account_id: granted.account_id,
        cookie_digest: cookie.digest,
        old_digest: call.visit.digest(),
        idle_life: app.tokens.browser_idle_life(),
    };
    let taken = browser::take_over(&app.db, takeover, origin).await;
    taken.map_err(|error| failed(error.into()))?;
    let next = match waiting {
        None => call.lead_to("account"),
        Some(waiting) => {
            let visit = Visit::with(app, &cookie.text).await.map_err(failed)?;
            Box::pin(call.go_on(waiting, &visit, None)).await
        }
    };
    Ok(with_cookie(next, &cookie.text))
}
