//! Sign-up.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::domain::account::{self, SignUp, SignedUp};
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::http::api::Tag;
use crate::http::api::failures::{failures, weaknesses_of};
use crate::http::api::mail_request::{Requested, generate_handle};
use crate::http::api::tokens::AuthTokens;
use crate::http::app::App;
use crate::http::error::{FieldProblem, Problem};
use crate::http::json::{Json, not_null};

/// The operation for sign-up.
pub(in crate::http) struct AccountApi;

#[OpenApi(prefix_path = "/api/auth", tag = "Tag::Accounts")]
impl AccountApi {
    /// Sign up with email and password.
    ///
    /// Creates the account and starts a session. If the server asks for a verified email address, it
    /// also sends a mail with a link and a code. If the server requires a verified address, the
    /// account gets no session before the address is verified.
    /// If the server does not reveal which addresses have an account, every sign-up gets the same
    /// response: a new address gets a mail whose link or code creates the account, and the owner
    /// of an account gets a notice. To request another mail, sign up again.
    #[oai(path = "/signup", method = "post", operation_id = "signUp")]
    async fn sign_up(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<SignUpBody>,
    ) -> Result<SignUpSuccess, SignUpFailure> {
        let now = app.clock.now();
        let invite = body.0.invite.clone();
        app.sign_up_policy.check(invite.as_deref())?;
        let (email, password) = body.0.validate(&app)?;
        let permit = app.sign_up_policy.permit(&email, invite.as_deref())?;
        app.issuer.check_fresh()?;
        let admitted = app.limits.admit_sign_up(&app.db, &email, &origin).await?;

        let handle = generate_handle()?;
        let verification = app.sign_up_policy.verification(&app.mail, handle.digest.clone());
        let is_asked = verification.is_some();
        let request = SignUp { permit: &permit, password, admitted, origin: &origin, verification };
        let signed_up =
            account::sign_up(&app.db, &app.hasher, &app.status_entries, request, &app.tokens, now)
                .await?;
        Ok(match signed_up {
            // A mailed invite has verified the address already.
            SignedUp::LoggedIn(granted) if is_asked && !granted.email.email_verified => {
                SignUpSuccess::Created(AuthTokens::sign_with_handle(&app, granted, handle)?)
            }
            SignedUp::LoggedIn(granted) => SignUpSuccess::Created(AuthTokens::sign(&app, granted)?),
            SignedUp::Unverified => SignUpSuccess::Accepted(Requested::with(handle)),
        })
    }
}

/// The body of a sign-up request.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignUpBody {
    /// The email address; compared case-insensitively, unique among accounts.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// By default 8 to 128 characters with an upper-case letter, a lower-case letter and a digit;
    /// not a common password, and not the email address.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    password: String,
    /// An invite for this email address. Required if sign-up is by invite only.
    #[oai(validator(max_length = 128), write_only)]
    #[serde(default, deserialize_with = "not_null")]
    invite: Option<String>,
}

impl SignUpBody {
    /// Validates both members, so that a form can show all errors at once.
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

#[derive(ApiResponse)]
enum SignUpSuccess {
    /// The account was created and a session was started.
    #[oai(status = 201)]
    Created(Json<AuthTokens>),
    /// The email address must be verified first, with the link or the code in the mail that was
    /// sent to it. On a server that does not reveal which addresses have an account, the response
    /// does not say whether it has one.
    #[oai(status = 202)]
    Accepted(Json<Requested>),
}

failures! {
    SignUpFailure {
        BAD_REQUEST "The email address or the password is not valid (`VALIDATION_ERROR`), or the invite is not valid for this email address: unknown, used, revoked or expired (`INVALID_INVITE`)."
        FORBIDDEN "Sign-up is closed or requires an invite (`SIGNUP_CLOSED`), or the domain of the email address cannot sign up (`SIGNUP_DOMAIN_NOT_ALLOWED`)."
        CONFLICT "An account with this email address exists (`EMAIL_EXISTS`). A server that does not reveal which addresses have an account sends this only if the request has a mailed invite."
        TOO_MANY_REQUESTS "Too many attempts from this client address (`RATE_LIMIT_EXCEEDED`)."
    }
}
