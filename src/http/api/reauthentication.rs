//! Code shared by the endpoints that reauthenticate a logged-in user by password.

use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::reauthentication::ReauthenticationError;
use crate::domain::session;
use crate::domain::session::listing::Login;
use crate::http::api::failures::failures;
use crate::http::app::App;
use crate::http::error::Problem;
use crate::timestamp::Timestamp;

/// Parses the password in `member`.
pub(super) fn parse_password(member: &str, value: &str) -> Result<Password, Problem> {
    Password::parse(value).map_err(|error| Problem::invalid(member, error.to_string()))
}

/// Checks the in-memory attempt limit. Then returns the email address of the logged-in account,
/// which the attempt limit in the database needs.
pub(super) async fn admit_early(
    app: &App,
    login: Login,
    origin: &Origin,
    now: Timestamp,
) -> Result<Email, Problem> {
    app.limits.admit_reauthentication_early(origin)?;
    let account = session::account_of_live(&app.db, login.session_id, login.account_id, now).await;
    let account = account
        .map_err(ReauthenticationError::Database)?
        .ok_or(ReauthenticationError::NotLoggedIn)?;
    Ok(Email::of_account(&account.email_canonical))
}

failures! {
    pub(super) ReauthenticationFailure {
        BAD_REQUEST "The body cannot be parsed, or a new password is not valid \
            (`VALIDATION_ERROR`)."
        UNAUTHORIZED "No valid access token, or its session has ended (`UNAUTHORIZED`); or the \
            password is wrong (`AUTH_FAILED`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address or on this account \
            (`RATE_LIMIT_EXCEEDED`)."
    }
}
