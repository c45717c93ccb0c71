//! Password change and password reset.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::domain::account;
use crate::domain::audit::Origin;
use crate::domain::password_reset::{self, Reset};
use crate::domain::reauthentication::{self, Confirmation, Replacement};
use crate::http::api::Tag;
use crate::http::api::failures::{failures, weaknesses_of};
use crate::http::api::reauthentication::{ReauthenticationFailure, admit_early, parse_password};
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::Json;

/// The operations on passwords.
pub(in crate::http) struct PasswordApi;

#[OpenApi(prefix_path = "/api/auth/password", tag = "Tag::Accounts")]
impl PasswordApi {
    /// Change the password.
    ///
    /// Requires the current password. All other sessions end; the session of this token continues,
    /// with its refresh token.
    #[oai(path = "/", method = "post", operation_id = "changePassword")]
    async fn change(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        body: Json<ChangeBody>,
    ) -> Result<PasswordChanged, ReauthenticationFailure> {
        let now = app.clock.now();
        let current = parse_password("current_password", &body.0.current_password)?;
        let new = parse_password("new_password", &body.0.new_password)?;
        let email = admit_early(&app, login, &origin, now).await?;
        let weaknesses = account::weaknesses(app.password_policy, &new, &email);
        if !weaknesses.is_empty() {
            return Err(Problem::validation(weaknesses_of("new_password", &weaknesses)).into());
        }
        let admitted = app.limits.admit_reauthentication(&app.db, &email, &origin).await?;

        let (origin, mail) = (&origin, &app.mail);
        let confirmation = Confirmation { login, password: current, admitted, origin, mail };
        let new = Replacement { password: new, new_login: None };
        reauthentication::change_password(&app.db, &app.hasher, confirmation, new, now).await?;
        Ok(PasswordChanged::Done)
    }

    /// Set a new password with a reset token.
    ///
    /// The token was sent to the account's email address and grants control of the account. All
    /// sessions end, and no session is started. The token is valid for 30 minutes and for one use.
    #[oai(path = "/reset", method = "post", operation_id = "resetPassword")]
    async fn reset(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<ResetBody>,
    ) -> Result<PasswordReset, ResetFailure> {
        let now = app.clock.now();
        let ResetBody { token, new_password } = body.0;
        let password = parse_password("new_password", &new_password)?;
        let admitted = app.limits.admit_reset(&app.db, &origin).await?;

        let policy = app.password_policy;
        let limit_key = app.limits.key();
        let (origin, mail) = (&origin, &app.mail);
        let reset = Reset { password, policy, limit_key, admitted, origin, mail, form: None };
        let token = (&app.reset_tokens, token.as_str());
        password_reset::redeem(&app.db, &app.hasher, token, reset, now).await?;
        Ok(PasswordReset::Done)
    }
}

/// The body of a password change request.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// The current password of the account.
    #[oai(validator(max_length = 128), write_only)]
    current_password: String,
    /// The new password; the same rules apply as at sign-up.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    new_password: String,
}

/// The body of a password reset request.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    /// The reset token sent to the account's email address.
    #[oai(validator(max_length = 256), write_only)]
    token: String,
    /// The new password; the same rules apply as at sign-up.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    new_password: String,
}

#[derive(ApiResponse)]
enum PasswordChanged {
    /// The password was changed; all other sessions have ended.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum PasswordReset {
    /// The password was changed; all sessions have ended.
    #[oai(status = 204)]
    Done,
}

failures! {
    ResetFailure {
        BAD_REQUEST "The password is not valid (`VALIDATION_ERROR`), or the reset token is not \
            (`INVALID_RESET_TOKEN`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address (`RATE_LIMIT_EXCEEDED`)."
    }
}
