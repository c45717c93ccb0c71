//! What endpoints share that reauthenticate a logged-in user by password.

use poem_openapi::ApiResponse;

use crate::domain::attempt_limit::AttemptError;
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::password::{HashError, Password};
use crate::domain::reauthentication::ConfirmError;
use crate::domain::session;
use crate::domain::session::listing::Login;
use crate::http::app::App;
use crate::http::error::{FieldProblem, Problem};
use crate::timestamp::Timestamp;

/// Parses the password in `member`.
pub(super) fn parse(member: &str, typed: &str) -> Result<Password, Problem> {
    let invalid = |message| Problem::validation(vec![FieldProblem::new(member, message)]);
    Password::parse(typed).map_err(|error| invalid(error.to_string()))
}

/// The address of the account that is logged in, for its attempt limit. The in-memory limit is
/// checked first.
pub(super) async fn account_to_confirm(
    app: &App,
    login: Login,
    origin: &Origin,
    now: Timestamp,
) -> Result<Email, ConfirmFailure> {
    app.limits.admit_confirmation_early(origin)?;
    let account = session::account_of_live(&app.db, login.session_id, login.account_id, now).await;
    let account = account.map_err(ConfirmError::Database)?.ok_or(ConfirmError::NotLoggedIn)?;
    Ok(Email::of_account(&account.email_canonical))
}

#[derive(ApiResponse)]
pub(super) enum ConfirmFailure {
    /// The request cannot be read, or a new password is not acceptable (`VALIDATION_ERROR`).
    #[oai(status = 400)]
    Invalid(Problem),
    /// No valid token, or its session has ended (`UNAUTHORIZED`); or the password is wrong
    /// (`AUTH_FAILED`).
    #[oai(status = 401)]
    Refused(Problem),
    /// Too many attempts from this address or on this account (`RATE_LIMIT_EXCEEDED`).
    #[oai(status = 429)]
    TooManyAttempts(Problem),
    /// Try again; what was asked for may or may not have been done (`SERVICE_UNAVAILABLE`).
    #[oai(status = 503)]
    Unavailable(Problem),
}

impl From<Problem> for ConfirmFailure {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem)
    }
}

impl From<AttemptError> for ConfirmFailure {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Refused(refusal) => Self::TooManyAttempts(Problem::rate_limited(refusal)),
            AttemptError::Database(_) => Self::Unavailable(Problem::failed(&error)),
        }
    }
}

impl From<ConfirmError> for ConfirmFailure {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::NotLoggedIn => Self::Refused(Problem::invalid_token()),
            ConfirmError::Refused | ConfirmError::Changed => Self::Refused(Problem::auth_failed()),
            ConfirmError::Hashing(HashError::Busy { retry_after }) => {
                Self::Unavailable(Problem::busy(retry_after))
            }
            ConfirmError::Hashing(_) | ConfirmError::Status(_) | ConfirmError::Database(_) => {
                Self::Unavailable(Problem::failed(&error))
            }
        }
    }
}
