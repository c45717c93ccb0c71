//! Code shared by the pages that reauthenticate a logged-in user by password.

use poem::Response;
use uuid::Uuid;

use crate::domain::attempt_limit::AttemptError;
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::pending_authorization::FlowError;
use crate::domain::password::Password;
use crate::domain::reauthentication::{Confirmation, ReauthenticationError};
use crate::domain::session::listing::Login;
use crate::http::pages::message::{limited_on, unavailable};
use crate::http::pages::page_request::PageRequest;

/// Counts a reauthentication attempt, first for the in-memory limit and then for the limit in the
/// database. `limited` renders the page when a limit is exceeded.
pub(super) async fn admit<'a>(
    call: &'a PageRequest,
    browser: &Browser,
    password: Password,
    origin: &'a Origin,
    limited: impl Fn(&str) -> Response,
) -> Result<Confirmation<'a>, Response> {
    let limits = &call.app.limits;
    let refused = |error: AttemptError| limited_on(&error, &limited);
    limits.admit_reauthentication_early(origin).map_err(refused)?;
    let email = Email::of_account(&browser.account.email_canonical);
    let admitted = limits.admit_reauthentication(&call.app.db, &email, origin).await;
    let admitted = admitted.map_err(refused)?;
    let login = Login { account_id: browser.account.id, session_id: browser.session.id };
    Ok(Confirmation { login, password, admitted, origin, mail: &call.app.mail })
}

/// The id of the account that a form is shown for, encrypted for the cookie of the browser. It
/// identifies the account if the form is submitted again after the first submission has ended the
/// session.
pub(super) fn seal_account(call: &PageRequest, browser: &Browser) -> Result<String, FlowError> {
    Ok(call
        .app
        .request_sealer
        .seal(browser.account.id.as_bytes(), &call.visitor.cookie_digest())?)
}

/// The id of the account that a form was shown for, if the form was shown in this browser with its
/// current or its previous cookie.
pub(super) fn account_of_form(call: &PageRequest) -> Option<Uuid> {
    let account = call.params.get("account")?;
    let open = |digest: &[u8]| call.app.request_sealer.open(account, digest);
    let id = open(&call.visitor.cookie_digest());
    let id = id.or_else(|| open(call.visitor.previous_cookie_digest()?))?;
    Uuid::from_slice(&id).ok()
}

/// The response to a failure. `None` if the password is wrong: the form then shows the error. If
/// the account changed during the check, the password may be right, so the user should try again.
pub(super) fn failure(call: &PageRequest, error: &ReauthenticationError) -> Option<Response> {
    match error {
        ReauthenticationError::Refused => None,
        ReauthenticationError::NotLoggedIn => Some(call.redirect_to_page("login")),
        ReauthenticationError::Changed
        | ReauthenticationError::Hashing(_)
        | ReauthenticationError::Status(_)
        | ReauthenticationError::Database(_) => Some(unavailable(error)),
    }
}
