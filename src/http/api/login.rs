//! Login, refresh and logout.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Serialize};

use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::refresh::{Holder, RefreshError};
use crate::domain::session::{self, LogIn};
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::api::reauthentication::parse_password;
use crate::http::api::tokens::AuthTokens;
use crate::http::app::App;
use crate::http::audited_failures;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::Json;
use crate::http::rate_limit::FreeFailure;

/// The operations that start, refresh and end the current session.
pub(in crate::http) struct LoginApi;

#[OpenApi(prefix_path = "/api/auth", tag = "Tag::Sessions")]
impl LoginApi {
    /// Log in with email and password.
    ///
    /// An unknown account and a wrong password get the same response in the same time.
    #[oai(path = "/login", method = "post", operation_id = "logIn")]
    async fn log_in(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<LogInBody>,
    ) -> Result<LogInSuccess, LogInFailure> {
        let now = app.clock.now();
        let (email, password) = body.0.validate()?;
        app.issuer.check_fresh()?;
        let admitted = app.limits.admit_log_in(&app.db, &email, &origin).await?;

        let (mail, unverified) = (&app.mail, app.sign_up_policy.unverified_logins());
        let attempt =
            LogIn { email: &email, password, admitted, origin: &origin, mail, unverified };
        let granted =
            session::log_in(&app.db, &app.hasher, &app.status_entries, attempt, &app.tokens, now)
                .await?;
        Ok(LogInSuccess::Ok(AuthTokens::sign(&app, granted)?))
    }

    /// Exchange a refresh token for new tokens.
    ///
    /// Each refresh token can be used once. If it is used again within ten seconds, and its
    /// successor is still unused, the response contains the same successor: this covers lost
    /// responses and second tabs. Any other reuse ends the session, since the token may have been
    /// stolen.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<RefreshBody>,
    ) -> Result<Refreshed, RefreshFailure> {
        app.issuer.check_fresh()?;
        app.limits.admit_unauthenticated(&origin)?;
        let Some(presented) = app.refresh_tokens.decode(&body.0.refresh_token) else {
            let failure = FreeFailure::ForgedRefreshToken;
            let event = failure.event().reason("forged");
            audited_failures::record(&app, failure, event, &origin).await;
            return Err(RefreshError::Rejected.into());
        };

        let holder = Holder { client_id: session::FIRST_PARTY_CLIENT, is_server: false };
        let granted = app.rotation.rotate(presented, holder, &origin).await?;
        Ok(Refreshed::Ok(AuthTokens::sign(&app, granted)?))
    }

    /// Log out.
    ///
    /// Ends the session: its refresh token is rejected from then on.
    #[oai(path = "/logout", method = "post", operation_id = "logOut")]
    async fn log_out(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
    ) -> Result<LoggedOut, LogOutFailure> {
        match session::log_out(&app.db, login.session_id, login.account_id, &origin).await {
            Ok(true) => {
                let message = "Logged out successfully".to_owned();
                Ok(LoggedOut::Ok(Json(Message { message })))
            }
            Ok(false) => Err(Problem::invalid_token().into()),
            Err(error) => Err(Problem::failed(&error).into()),
        }
    }
}

/// The body of a login request.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogInBody {
    /// The email address of the account; case is ignored.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    password: String,
}

impl LogInBody {
    fn validate(self) -> Result<(Email, Password), Problem> {
        let email = Email::parse_known(&self.email);
        let email = email.map_err(|error| Problem::invalid("email", error.to_string()))?;
        Ok((email, parse_password("password", &self.password)?))
    }
}

/// The body of a refresh request.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    /// The current refresh token of the session.
    #[oai(validator(max_length = 256), write_only)]
    refresh_token: String,
}

/// A message for people.
#[derive(Object, Serialize)]
struct Message {
    /// The text.
    message: String,
}

#[derive(ApiResponse)]
enum LogInSuccess {
    /// A session was started.
    #[oai(status = 200)]
    Ok(Json<AuthTokens>),
}

#[derive(ApiResponse)]
enum Refreshed {
    /// The new tokens; the previous refresh token is used up.
    #[oai(status = 200)]
    Ok(Json<AuthTokens>),
}

#[derive(ApiResponse)]
enum LoggedOut {
    /// The session has ended.
    #[oai(status = 200)]
    Ok(Json<Message>),
}

failures! {
    LogInFailure {
        BAD_REQUEST "The body cannot be parsed, or a member is not valid (`VALIDATION_ERROR`)."
        UNAUTHORIZED "Unknown or disabled account, or wrong password (`AUTH_FAILED`)."
        FORBIDDEN "The password is right, but the email address must be verified first (`EMAIL_NOT_VERIFIED`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address or on this account \
            (`RATE_LIMIT_EXCEEDED`)."
    }

    RefreshFailure {
        BAD_REQUEST "The body cannot be parsed (`VALIDATION_ERROR`)."
        UNAUTHORIZED "The refresh token is forged, expired or already used, or its session has \
            ended (`INVALID_REFRESH_TOKEN`)."
        SERVICE_UNAVAILABLE "The refresh token can still be used; retry (`SERVICE_UNAVAILABLE`)."
    }

    LogOutFailure {
        UNAUTHORIZED "No valid access token, or its session had already ended (`UNAUTHORIZED`)."
        SERVICE_UNAVAILABLE "The session may not have ended; retry (`SERVICE_UNAVAILABLE`)."
    }
}
