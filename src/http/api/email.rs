//! The email address of an account: its verification and its change.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::email_change::{self, NewAddress};
use crate::domain::email_confirmation::{self, Link};
use crate::domain::email_verification::{self, Credentials};
use crate::domain::password_reset::{Reset, ResetError};
use crate::domain::reauthentication::Confirmation;
use crate::domain::secret::digest;
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::api::mail_request::{MailRequested, check_mail, generate_handle};
use crate::http::api::reauthentication::{admit_early, parse_password};
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::error::Problem;
use crate::http::json::{Json, not_null};

/// The operations on the email address of an account.
pub(in crate::http) struct EmailApi;

#[OpenApi(prefix_path = "/api/auth/email", tag = "Tag::Accounts")]
impl EmailApi {
    /// Change the email address.
    ///
    /// Requires the password. The new address gets a mail with a link and a code. The account keeps
    /// the old address until the link (`verifyEmail`) or the code (`verifyEmailByCode`) confirms
    /// the new one; the old address then gets a notice. The response is the same if the new address
    /// belongs to another account, whose owner gets a notice instead.
    #[oai(path = "/", method = "post", operation_id = "changeEmail")]
    async fn change(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        body: Json<ChangeEmailBody>,
    ) -> Result<MailRequested, ChangeEmailFailure> {
        let now = app.clock.now();
        let new = Email::parse(&body.0.email);
        let new = new.map_err(|error| Problem::invalid("email", error.to_string()))?;
        let password = parse_password("password", &body.0.password)?;
        check_mail(&app)?;
        let email = admit_early(&app, login, &origin, now).await?;
        if new.address() == email.address() {
            let why = "is already the address of the account";
            return Err(Problem::invalid("email", why).into());
        }
        let admitted = app.limits.admit_reauthentication(&app.db, &email, &origin).await?;

        let handle = generate_handle()?;
        let (origin, mail) = (&origin, &app.mail);
        let confirmation = Confirmation { login, password, admitted, origin, mail };
        let new = NewAddress { email: new, device_digest: handle.digest.clone() };
        email_change::request(&app.db, &app.hasher, confirmation, new, now).await?;
        Ok(MailRequested::with(handle))
    }

    /// Request a mail that verifies the email address.
    ///
    /// If the password is right and the address is not verified yet, the address gets a mail with a
    /// link and a code; those of the previous mail become invalid. The response is the same in all
    /// cases, also for a wrong password.
    #[oai(path = "/verify/request", method = "post", operation_id = "requestEmailVerification")]
    async fn request(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<RequestVerificationBody>,
    ) -> Result<MailRequested, RequestVerificationFailure> {
        let now = app.clock.now();
        let email = Email::parse_known(&body.0.email);
        let email = email.map_err(|error| Problem::invalid("email", error.to_string()))?;
        let password = parse_password("password", &body.0.password)?;
        check_mail(&app)?;
        let admitted = app.limits.admit_log_in(&app.db, &email, &origin).await?;

        let handle = generate_handle()?;
        let credentials = Credentials { email: &email, password, admitted };
        let device = (handle.digest.clone(), &origin);
        let (db, hasher, mail) = (&app.db, &app.hasher, &app.mail);
        email_verification::request_with_password(db, hasher, mail, credentials, device, now)
            .await?;
        Ok(MailRequested::with(handle))
    }

    /// Verify the email address, or confirm a new one or a sign-up, with the token of a link.
    ///
    /// The link alone proves nothing about the account: someone else may have signed up with the
    /// address. So the request needs either the password of the account, or a new password. A new
    /// password ends all sessions of the account. The link that confirms a new address cannot set a
    /// password. The link of a sign-up creates the account.
    #[oai(path = "/verify", method = "post", operation_id = "verifyEmail")]
    async fn verify(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<VerifyBody>,
    ) -> Result<EmailVerified, VerifyFailure> {
        let VerifyBody { token, password, new_password } = body.0;
        check_mail(&app)?;
        let (db, hasher) = (&app.db, &app.hasher);
        match (password, new_password) {
            (Some(password), None) => {
                let password = parse_password("password", &password)?;
                // The attempt stays counted, whatever its result.
                drop(app.limits.admit_email_confirmation(db, &origin).await?);
                let link = find_link(&app, &token).await?;
                let email = link.email();
                let admitted = app.limits.admit_reauthentication(db, &email, &origin).await?;
                let proof = (password, admitted);
                let proven = link.prove_by_password(db, hasher, proof, &origin).await?;
                email_confirmation::confirm(db, proven, (&app.mail, &origin, None)).await?;
            }
            (None, Some(password)) => {
                let password = parse_password("new_password", &password)?;
                let admitted = app.limits.admit_email_confirmation(db, &origin).await?;
                let link = find_link(&app, &token).await?;
                let (policy, limit_key) = (app.password_policy, app.limits.key());
                let (origin, mail) = (&origin, &app.mail);
                let form = None;
                let reset = Reset { password, policy, limit_key, admitted, origin, mail, form };
                let set = email_confirmation::set_password(db, hasher, link, reset);
                Box::pin(set).await.map_err(|error| match error {
                    ResetError::Rejected => Problem::invalid_verification_token(),
                    error => error.into(),
                })?;
            }
            _ => {
                let why = "either this or new_password is required, not both";
                return Err(Problem::invalid("password", why).into());
            }
        }
        Ok(EmailVerified::Done)
    }

    /// Verify the email address, or confirm a new one or a sign-up, with the code of a mail.
    ///
    /// The code works only together with the handle of the response that announced the mail. After
    /// five wrong codes for one account within 30 minutes, codes are refused; the links in mails
    /// still work.
    #[oai(path = "/verify/code", method = "post", operation_id = "verifyEmailByCode")]
    async fn verify_by_code(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<VerifyCodeBody>,
    ) -> Result<EmailVerified, VerifyCodeFailure> {
        let now = app.clock.now();
        let VerifyCodeBody { handle, code } = body.0;
        check_mail(&app)?;
        // The attempt stays counted, whatever its result.
        drop(app.limits.admit_email_confirmation(&app.db, &origin).await?);

        let (db, tokens, key) = (&app.db, &app.email_tokens, app.limits.key());
        let proof = (digest(&handle), code.as_str());
        let by = (&app.mail, &origin, None);
        email_confirmation::confirm_by_code(db, tokens, key, proof, by, now).await?;
        Ok(EmailVerified::Done)
    }
}

async fn find_link(app: &App, token: &str) -> Result<Link, Problem> {
    let found = Link::find(&app.db, &app.email_tokens, token, app.clock.now()).await;
    let found = found.map_err(|error| Problem::failed(&error))?;
    found.ok_or_else(Problem::invalid_verification_token)
}

/// The body of a change of the email address.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeEmailBody {
    /// The new email address; the same rules apply as at sign-up.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    password: String,
}

/// The body of a request for a mail that verifies the address.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestVerificationBody {
    /// The email address of the account; case is ignored.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    password: String,
}

/// The body of a verification with a token. Exactly one of the passwords is required.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    /// The token in the link of the mail.
    #[oai(validator(max_length = 256), write_only)]
    token: String,
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    #[serde(default, deserialize_with = "not_null")]
    password: Option<String>,
    /// A new password for the account; the same rules apply as at sign-up.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    #[serde(default, deserialize_with = "not_null")]
    new_password: Option<String>,
}

/// The body of a verification with a code.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyCodeBody {
    /// The handle from the response that announced the mail.
    #[oai(validator(max_length = 256), write_only)]
    handle: String,
    /// The code in the mail; case, spaces and hyphens are ignored.
    #[oai(validator(max_length = 32), write_only)]
    code: String,
}

#[derive(ApiResponse)]
enum EmailVerified {
    /// The email address is verified, or changed, or the account was created.
    #[oai(status = 204)]
    Done,
}

failures! {
    ChangeEmailFailure {
        BAD_REQUEST "The email address is not valid, or is that of the account \
            (`VALIDATION_ERROR`)."
        UNAUTHORIZED "No valid access token, or its session has ended (`UNAUTHORIZED`); or the \
            password is wrong (`AUTH_FAILED`)."
        NOT_FOUND "This server sends no mail (`MAIL_OFF`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address or on this account \
            (`RATE_LIMIT_EXCEEDED`)."
    }

    RequestVerificationFailure {
        BAD_REQUEST "The email address or the password is not valid (`VALIDATION_ERROR`)."
        NOT_FOUND "This server sends no mail (`MAIL_OFF`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address or on this account \
            (`RATE_LIMIT_EXCEEDED`)."
    }

    VerifyFailure {
        BAD_REQUEST "A password is missing or not valid (`VALIDATION_ERROR`), or the token is wrong, \
            expired or used (`INVALID_VERIFICATION_TOKEN`)."
        UNAUTHORIZED "The password is wrong (`AUTH_FAILED`)."
        NOT_FOUND "This server sends no mail (`MAIL_OFF`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address or on this account \
            (`RATE_LIMIT_EXCEEDED`)."
    }

    VerifyCodeFailure {
        BAD_REQUEST "The code is wrong, expired, used, or not for this handle \
            (`INVALID_VERIFICATION_TOKEN`)."
        NOT_FOUND "This server sends no mail (`MAIL_OFF`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address (`RATE_LIMIT_EXCEEDED`)."
    }
}
