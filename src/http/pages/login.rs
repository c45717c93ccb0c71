//! `/login`: the same limits, decoy and audit as the JSON API's.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::attempt::AttemptKey;
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::oauth::browser::{self, Takeover};
use crate::domain::oauth::client::Client;
use crate::domain::oauth::flow::FlowError;
use crate::domain::oauth::opaque::Opaque;
use crate::domain::oauth::waiting::Pending;
use crate::domain::password::Password;
use crate::domain::session::{self, Granted, LogIn, LogInError};
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::page::render_towards;
use crate::http::pages::templates::LoginPage;
use crate::http::pages::visit::with_cookie;
use crate::http::pages::{Call, Visit, limited, unavailable};

/// The same for an unknown address, a wrong password and a disabled account.
const REFUSED: &str = "The email address or the password is not right.";

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    let waiting = call.waiting().await?;
    if call.is_post() {
        return log_in(&call, waiting).await;
    }
    if waiting.is_none() && call.visit.browser.is_some() {
        return Ok(call.lead_to("account"));
    }
    let expected = waiting.as_ref().and_then(|(pending, _)| pending.request.login_hint.as_deref());
    let shown = show(&call, waiting.as_ref(), expected.unwrap_or_default(), None);
    Ok(call.visit.remember(shown))
}

/// The page, with why the last attempt did not work.
fn show(
    call: &Call,
    waiting: Option<&(Pending, Client)>,
    username: &str,
    problem: Option<&str>,
) -> Response {
    let page = LoginPage {
        csrf: &call.visit.csrf(),
        flow: call.params.get("flow").unwrap_or_default(),
        client_name: waiting.map_or("", |(_, client)| &client.name),
        username,
        problem: problem.unwrap_or_default(),
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    render_towards(status, &page, &destinations(waiting))
}

/// Where the forms of a flow may end: at the client's redirect URI, and wherever the client leads
/// from there, as far as it registered that.
pub(super) fn destinations(waiting: Option<&(Pending, Client)>) -> Vec<&str> {
    let Some((pending, client)) = waiting else { return Vec::new() };
    let registered = client.redirect_uris.0.iter().chain(&client.post_logout_redirect_uris.0);
    let on_the_web = registered.map(String::as_str).filter(|uri| uri.starts_with("https:"));
    [pending.request.to.redirect_uri.as_str()].into_iter().chain(on_the_web).collect()
}

async fn log_in(call: &Call, waiting: Option<(Pending, Client)>) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let typed = call.params.get("username").unwrap_or_default();
    let refused = || show(call, waiting.as_ref(), typed, Some(REFUSED));
    let (Ok(email), Ok(password)) =
        (Email::parse(typed), Password::parse(call.params.get("password").unwrap_or_default()))
    else {
        return Err(refused());
    };
    app.limits.admit_log_in(&app.db, &email, &origin).await.map_err(|it| limited(&it))?;
    let attempt = LogIn {
        email: &email,
        password,
        account_window: AttemptKey::of_account(app.limits.key(), &email),
        origin: &origin,
    };
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
    waiting: Option<(Pending, Client)>,
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
    let next = match &waiting {
        None => call.lead_to("account"),
        Some(waiting) => {
            let visit = Visit::with(app, &cookie.text).await.map_err(failed)?;
            call.go_on(waiting, &visit, None).await
        }
    };
    Ok(with_cookie(next, &cookie.text))
}
