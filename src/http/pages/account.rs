//! `/account`: shows the user's profile, email address, sessions and consents. Its forms end
//! sessions and withdraw consents.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account::EmailClaims;
use crate::domain::audit::Origin;
use crate::domain::email_verification;
use crate::domain::oauth::browser_session::{self, Browser};
use crate::domain::oauth::client::{self, ClientSummary};
use crate::domain::oauth::consent::{self, Consent};
use crate::domain::profile::Profile;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::domain::session::listing::{self, Login, SelfServiceError};
use crate::http::origin;
use crate::http::pages::consent_text::{self, Permission};
use crate::http::pages::layout::Page;
use crate::http::pages::logout_request::redirect_after_logout;
use crate::http::pages::message::{failed, limited, stale};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::profile_fields::{self, Input};
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::http::texts::{self, Account, Texts};
use crate::http::user_agent;

/// The number of sessions that are shown without expanding the list.
const FIRST_SESSIONS: usize = 5;

/// `/account`.
#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    texts: &'static Texts,
    csrf: &'a str,
    /// The notice about the last action; empty if there was none.
    notice: &'a str,
    email: &'a EmailClaims,
    /// The claims of the profile that the user has set: labels and values.
    claims: Vec<(&'static str, String)>,
    /// Whether this service sends mails.
    has_mail: bool,
    /// Whether the user is asked to verify the address.
    is_to_be_verified: bool,
    /// The session of this browser, and up to four other sessions.
    first_sessions: Vec<SessionLine>,
    /// The sessions that are shown after the list is expanded.
    more_sessions: Vec<SessionLine>,
    /// The text that expands the list.
    show_all: String,
    consents: Vec<ConsentLine>,
}

/// A session, as its owner sees it.
struct SessionLine {
    session: listing::Row,
    /// The name of the client, or of the browser for a session of these pages or the JSON API.
    heading: String,
    /// The browser or other program; empty if `heading` names it.
    device: String,
    /// When the session began.
    logged_in: String,
    last_used: String,
    is_current: bool,
    /// Whether `session.address` is the client address of the last use, and not that of the login.
    has_address_of_last_use: bool,
}

/// A consent, as its owner sees it.
struct ConsentLine {
    consent: Consent,
    granted_at: String,
    /// The client's host, which is shown because a client can choose any name.
    host: String,
    permissions: Vec<Permission>,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let Some(browser) = &call.visitor.browser else {
        // The form was submitted twice, and all sessions have already ended.
        let is_done = call.is_post() && call.params.get("end") == Some("all");
        return Ok(if is_done {
            redirect_after_logout("", None)
        } else {
            call.redirect_to_page("login")
        });
    };
    if !call.is_current {
        return Err(stale(&call.visitor));
    }
    if call.is_post() {
        let (db, origin) = (&call.app.db, origin::of(&call.request));
        call.app.limits.admit_change(&origin).map_err(|refused| limited(&refused))?;
        let Some(client_id) = call.params.get("withdraw") else {
            return end(&call, browser, &origin).await;
        };
        let withdrawn = consent::withdraw(db, login_of(browser), client_id, &origin).await;
        return Ok(response_to_change(&call, withdrawn, "account?done=withdraw"));
    }
    show(&call, browser).await
}

async fn end(call: &PageRequest, browser: &Browser, origin: &Origin) -> Result<Response, Response> {
    let app = &call.app;
    let which = call.params.get("end").unwrap_or_default();
    if which == "all" {
        browser_session::end_everywhere(&app.db, browser, origin).await.map_err(failed)?;
        return Ok(app.cookie.remove(redirect_after_logout("", None)));
    }
    if which == "others" {
        let ended = listing::end_others(&app.db, login_of(browser), origin).await;
        return Ok(response_to_change(call, ended, "account?done=others"));
    }
    let id = which.parse().map_err(|_| stale(&call.visitor))?;
    let ended = listing::end_one(&app.db, login_of(browser), id, origin).await;
    Ok(response_to_change(call, ended, "account?done=end"))
}

fn login_of(browser: &Browser) -> Login {
    Login { account_id: browser.account.id, session_id: browser.session.id }
}

/// The response to a form that ends sessions or withdraws a consent.
fn response_to_change(
    call: &PageRequest,
    result: Result<(), SelfServiceError>,
    done: &str,
) -> Response {
    match result {
        // Not found: the form was submitted twice, or from two tabs.
        Ok(()) | Err(SelfServiceError::NotFound) => see_other(done),
        Err(SelfServiceError::NotLoggedIn) => call.redirect_to_page("login"),
        Err(SelfServiceError::Database(error)) => failed(error),
    }
}

/// The notice after an action, by the name of the action in the URL; empty if there was none.
fn notice(call: &PageRequest, texts: &'static Account) -> &'static str {
    let notices = [
        ("profile", texts.profile_changed),
        ("password", texts.password_changed),
        ("end", texts.session_ended),
        ("others", texts.others_ended),
        ("withdraw", texts.withdrawn),
    ];
    let notice = notices.into_iter().find(|(action, _)| call.has_completed(action));
    notice.map(|(_, text)| text).unwrap_or_default()
}

async fn show(call: &PageRequest, browser: &Browser) -> Result<Response, Response> {
    let (db, texts) = (&call.app.db, texts::current());
    let sessions = match listing::list(db, login_of(browser), call.app.clock.now()).await {
        Ok(sessions) => sessions,
        Err(SelfServiceError::Database(error)) => return Err(failed(error)),
        Err(_) => return Ok(call.redirect_to_page("login")),
    };
    let ids = sessions.iter().map(|session| session.client_id.clone()).collect();
    let clients = client::summaries(db, ids).await.map_err(failed)?;
    let consents =
        consent::list(db, browser.account.id, &call.app.issuer_url).await.map_err(failed)?;
    let consents = consents.into_iter().map(|consent| ConsentLine {
        host: consent_text::host_of_client(&consent.client),
        permissions: consent_text::permissions(&call.app, &consent),
        granted_at: (texts.device.time)(consent.granted_at),
        consent,
    });
    let lines = sessions.into_iter().map(|session| {
        let is_current = session.id == browser.session.id;
        let client = clients.get(&session.client_id);
        session_line(call, session, client, is_current)
    });
    let mut first_sessions: Vec<_> = lines.collect();
    let show_all = (texts.account.show_all)(first_sessions.len());
    let more_sessions = first_sessions.split_off(first_sessions.len().min(FIRST_SESSIONS));
    let page = AccountPage {
        texts,
        csrf: &call.visitor.csrf(),
        notice: notice(call, &texts.account),
        email: &browser.account.email_claims(),
        claims: claims_of(browser, texts),
        has_mail: call.app.mail.is_on(),
        is_to_be_verified: call.app.sign_up_policy.asks_to_verify()
            && email_verification::is_to_be_verified(&browser.account),
        first_sessions,
        more_sessions,
        show_all,
        consents: consents.collect(),
    };
    let frame = Page { is_wide: true, ..Page::titled(texts.common.your_account) };
    Ok(call.visitor.set_cookie(&call.app, frame.answer(StatusCode::OK, &page)))
}

fn claims_of(browser: &Browser, texts: &Texts) -> Vec<(&'static str, String)> {
    let claims = Profile::of(&browser.account).into_claims();
    let lines = profile_fields::all().map(|field| {
        let value = field.value_in(&claims);
        let is_language = field.input == Input::Language;
        let value =
            if is_language { profile_fields::language_name(&value).to_owned() } else { value };
        ((texts.profile.label)(field.name), value)
    });
    lines.filter(|(_, value)| !value.is_empty()).collect()
}

/// A session as a line. The heading of a session of these pages or the JSON API is the browser,
/// that of all others the client.
fn session_line(
    call: &PageRequest,
    session: listing::Row,
    client: Option<&ClientSummary>,
    is_current: bool,
) -> SessionLine {
    let sent = session.user_agent.as_deref().unwrap_or_default();
    let device = user_agent::describe(sent, request_language::current());
    let has_address_of_last_use = !client.is_some_and(|client| client.is_confidential);
    let (heading, device) = match client {
        Some(client) => (client.name.clone(), device),
        None if session.client_id != FIRST_PARTY_CLIENT => (session.client_id.clone(), device),
        None if device.is_empty() => (call.app.branding.name.clone(), device),
        None => (device, String::new()),
    };
    let times = &texts::current().device;
    SessionLine {
        logged_in: (times.time)(session.auth_time),
        last_used: (times.time)(session.last_used_at()),
        session,
        heading,
        device,
        is_current,
        has_address_of_last_use,
    }
}
