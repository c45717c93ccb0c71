//! Making an account, and looking at one's own.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::account::{self, SignUp, SignUpError};
use crate::domain::attempt::AttemptError;
use crate::domain::email::Email;
use crate::domain::password::{HashError, Password};
use crate::domain::session;
use crate::domain::token::SigningError;
use crate::http::App;
use crate::http::api::Tag;
use crate::http::api::password::weaknesses_of;
use crate::http::api::tokens::AuthTokens;
use crate::http::bearer::LoggedIn;
use crate::http::error::{FieldProblem, Problem};
use crate::http::json::Json;
use crate::http::origin::ClientOrigin;

/// Accounts.
pub(in crate::http) struct AccountApi;

#[OpenApi(prefix_path = "/api/auth", tag = "Tag::Accounts")]
impl AccountApi {
    /// Sign up with email and password.
    ///
    /// Makes the account and logs it in.
    #[oai(path = "/signup", method = "post", operation_id = "signUp")]
    async fn sign_up(
        &self,
        app: Data<&Arc<App>>,
        origin: ClientOrigin,
        body: Json<SignUpBody>,
    ) -> Result<SignedUp, SignUpFailure> {
        let (now, ClientOrigin(origin)) = (app.clock.now(), origin);
        let (email, password) = body.0.validate(&app)?;
        app.issuer.check_fresh()?;
        app.limits.admit_sign_up(&app.db, &origin, now).await?;

        let request = SignUp { email: &email, password, origin: &origin };
        let granted =
            account::sign_up(&app.db, &app.hasher, &app.status_entries, request, &app.tokens, now)
                .await?;
        Ok(SignedUp::Created(AuthTokens::sign(&app, granted, now)?))
    }

    /// Look at the account that is logged in.
    ///
    /// Unlike a service that checks the token alone, this asks whether the session still lasts.
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn me(&self, app: Data<&Arc<App>>, login: LoggedIn) -> Result<Me, MeFailure> {
        let LoggedIn(login) = login;
        let now = app.clock.now();
        let found =
            session::account_of_live(&app.db, login.session_id, login.account_id, now).await;
        let account = found
            .map_err(|error| MeFailure::Unavailable(Problem::failed(&error)))?
            .ok_or_else(|| MeFailure::Unauthorized(Problem::invalid_token()))?;
        Ok(Me::Found(Json(Account {
            user_id: account.id,
            email: account.email,
            email_verified: account.email_verified_at.is_some(),
            created_at: account.created_at.to_rfc3339(),
        })))
    }
}

/// What signing up takes.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct SignUpBody {
    /// Compared without case. Nobody else's account has it.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// By default 8 to 128 characters with an upper-case letter, a lower-case letter and a digit;
    /// not a common password, nor the address.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    password: String,
}

impl SignUpBody {
    /// Checks both members, so that a form can show all that is wrong at once.
    fn validate(self, app: &App) -> Result<(Email, Password), Problem> {
        let mut problems = Vec::new();
        let email = Email::parse(&self.email)
            .map_err(|error| problems.push(FieldProblem::new("email", error.to_string())))
            .ok();
        let password = Password::parse(&self.password)
            .map_err(|error| problems.push(FieldProblem::new("password", error.to_string())))
            .ok();
        if let Some(password) = &password {
            let policy = app.password_policy;
            let weaknesses = match &email {
                Some(email) => account::weaknesses(policy, password, email),
                None => policy.check(password, &[]),
            };
            problems.extend(weaknesses_of("password", &weaknesses));
        }
        match (email, password) {
            (Some(email), Some(password)) if problems.is_empty() => Ok((email, password)),
            _ => Err(Problem::validation(problems)),
        }
    }
}

/// An account, as its owner sees it.
#[derive(Object, Serialize)]
struct Account {
    /// The account's id; also the `sub` and `user_id` of its tokens.
    user_id: Uuid,
    /// The account's address.
    email: String,
    /// Whether its owner proved to control the address.
    email_verified: bool,
    /// When it signed up, in UTC (RFC 3339).
    created_at: String,
}

#[derive(ApiResponse)]
enum SignedUp {
    /// The account was made and is logged in.
    #[oai(status = 201)]
    Created(Json<AuthTokens>),
}

#[derive(ApiResponse)]
enum SignUpFailure {
    /// The address or the password is not acceptable (`VALIDATION_ERROR`).
    #[oai(status = 400)]
    Invalid(Problem),
    /// Somebody has this address (`EMAIL_EXISTS`).
    #[oai(status = 409)]
    EmailExists(Problem),
    /// Too many attempts from this address (`RATE_LIMIT_EXCEEDED`).
    #[oai(status = 429)]
    TooManyAttempts(Problem),
    /// Nothing was done; try again (`SERVICE_UNAVAILABLE`).
    #[oai(status = 503)]
    Unavailable(Problem),
}

impl From<Problem> for SignUpFailure {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem)
    }
}

impl From<AttemptError> for SignUpFailure {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Refused(refusal) => Self::TooManyAttempts(Problem::rate_limited(refusal)),
            AttemptError::Database(error) => Self::Unavailable(Problem::failed(&error)),
        }
    }
}

impl From<SignUpError> for SignUpFailure {
    fn from(error: SignUpError) -> Self {
        match error {
            SignUpError::EmailExists => Self::EmailExists(Problem::email_exists()),
            SignUpError::Hashing(HashError::Busy) => Self::Unavailable(Problem::unavailable()),
            SignUpError::Hashing(_) | SignUpError::Status(_) | SignUpError::Database(_) => {
                Self::Unavailable(Problem::failed(&error))
            }
        }
    }
}

impl From<SigningError> for SignUpFailure {
    fn from(error: SigningError) -> Self {
        Self::Unavailable(Problem::failed(&error))
    }
}

#[derive(ApiResponse)]
enum Me {
    /// The account.
    #[oai(status = 200)]
    Found(Json<Account>),
}

#[derive(ApiResponse)]
enum MeFailure {
    /// No valid token, or its session has ended (`UNAUTHORIZED`).
    #[oai(status = 401)]
    Unauthorized(Problem),
    /// Try again (`SERVICE_UNAVAILABLE`).
    #[oai(status = 503)]
    Unavailable(Problem),
}
