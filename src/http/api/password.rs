//! Password change and password reset.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::domain::account;
use crate::domain::password_reset::{self, Reset};
use crate::domain::reauthentication::{self, Confirmation, Replacement};
use crate::http::api::Tag;
use crate::http::api::failures::{failures, weaknesses_of};
use crate::http::api::reauthentication::{ConfirmFailure, account_to_confirm, parse};
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::Json;
use crate::http::origin::ClientOrigin;

/// The operations on passwords.
pub(in crate::http) struct PasswordApi;

#[OpenApi(prefix_path = "/api/auth/password", tag = "Tag::Accounts")]
impl PasswordApi {
    /// Choose a new password, knowing the current one.
    ///
    /// All other sessions end; the one of this token goes on, with its refresh token.
    #[oai(path = "/", method = "post", operation_id = "changePassword")]
    async fn change(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        login: LoggedIn,
        body: Json<ChangeBody>,
    ) -> Result<PasswordChanged, ConfirmFailure> {
        let (now, LoggedIn(login), ClientOrigin(origin)) = (app.clock.now(), login, origin);
        let current = parse("current_password", &body.0.current_password)?;
        let new = parse("new_password", &body.0.new_password)?;
        let email = account_to_confirm(&app, login, &origin, now).await?;
        let weaknesses = account::weaknesses(app.password_policy, &new, &email);
        if !weaknesses.is_empty() {
            return Err(Problem::validation(weaknesses_of("new_password", &weaknesses)).into());
        }
        let admitted = app.limits.admit_confirmation(&app.db, &email, &origin).await?;

        let confirmation = Confirmation { login, password: current, admitted, origin: &origin };
        let new = Replacement { password: new, new_login: None };
        reauthentication::change_password(&app.db, &app.hasher, confirmation, new, now).await?;
        Ok(PasswordChanged::Done)
    }

    /// Choose a new password with a reset token.
    ///
    /// The token came to the account's address; whoever has it has the account. All sessions end,
    /// and nobody is logged in. The token is good for half an hour, and once.
    #[oai(path = "/reset", method = "post", operation_id = "resetPassword")]
    async fn reset(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        body: Json<ResetBody>,
    ) -> Result<PasswordReset, ResetFailure> {
        let (now, ClientOrigin(origin)) = (app.clock.now(), origin);
        let ResetBody { token, new_password } = body.0;
        let password = parse("new_password", &new_password)?;
        let admitted = app.limits.admit_reset(&app.db, &origin).await?;

        let policy = app.password_policy;
        let limit_key = app.limits.key();
        let reset = Reset { token: &token, password, policy, limit_key, admitted, origin: &origin };
        password_reset::redeem(&app.db, &app.hasher, &app.reset_tokens, reset, now).await?;
        Ok(PasswordReset::Done)
    }
}

/// What choosing a new password takes.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    current_password: String,
    /// The same rule as at sign-up.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    new_password: String,
}

/// What resetting takes.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    /// What came to the account's address.
    #[oai(validator(max_length = 256), write_only)]
    token: String,
    /// The same rule as at sign-up.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    new_password: String,
}

#[derive(ApiResponse)]
enum PasswordChanged {
    /// The password is set; all other sessions have ended.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum PasswordReset {
    /// The password is set; all sessions have ended.
    #[oai(status = 204)]
    Done,
}

failures! {
    ResetFailure {
        BAD_REQUEST "The password is not acceptable (`VALIDATION_ERROR`), or the token is not \
            good any more (`INVALID_RESET_TOKEN`)."
        TOO_MANY_REQUESTS "Too many attempts from this address (`RATE_LIMIT_EXCEEDED`)."
        SERVICE_UNAVAILABLE "Try again; what was asked for may or may not have been done \
            (`SERVICE_UNAVAILABLE`)."
    }
}
