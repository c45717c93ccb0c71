//! A forgotten password: the request for a mail, and the new password with the code of the mail.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::forgotten_password::{self, Forgotten};
use crate::domain::password_reset::Reset;
use crate::domain::secret::digest;
use crate::http::api::Tag;
use crate::http::api::failures::failures;
use crate::http::api::mail_request::{MailRequested, check_mail, generate_handle};
use crate::http::api::reauthentication::parse_password;
use crate::http::app::App;
use crate::http::error::Problem;
use crate::http::json::Json;

/// The operations for a forgotten password.
pub(in crate::http) struct ForgottenPasswordApi;

#[OpenApi(prefix_path = "/api/auth/password", tag = "Tag::Accounts")]
impl ForgottenPasswordApi {
    /// Request a mail with which the password can be reset.
    ///
    /// If an enabled account has the address, the address gets a mail with a link and a code; those
    /// of the previous mail become invalid. The response is the same for every address. The code
    /// works only together with the handle of the response; the link leads to a page and works on
    /// any device. Both are valid for 30 minutes and for one use.
    #[oai(path = "/forgotten", method = "post", operation_id = "requestPasswordReset")]
    async fn request(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<ForgottenBody>,
    ) -> Result<MailRequested, ForgottenFailure> {
        let now = app.clock.now();
        let email = Email::parse_known(&body.0.email);
        let email = email.map_err(|error| Problem::invalid("email", error.to_string()))?;
        check_mail(&app)?;
        let admitted = app.limits.admit_reset_request(&app.db, &email, &origin).await?;

        let handle = generate_handle()?;
        let (email, device_digest, origin) = (&email, handle.digest.clone(), &origin);
        let forgotten = Forgotten { email, device_digest, admitted, origin };
        let requested = forgotten_password::request(&app.db, &app.mail, forgotten, now).await;
        requested.map_err(|error| Problem::failed(&error))?;
        Ok(MailRequested::with(handle))
    }

    /// Set a new password with the code of a mail.
    ///
    /// As with a reset token, all sessions end, and no session is started. After five wrong codes
    /// for one account within 30 minutes, codes are refused; the links in mails still work.
    #[oai(path = "/reset/code", method = "post", operation_id = "resetPasswordByCode")]
    async fn reset(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        body: Json<CodeBody>,
    ) -> Result<PasswordReset, CodeFailure> {
        let now = app.clock.now();
        let CodeBody { handle, code, new_password } = body.0;
        let password = parse_password("new_password", &new_password)?;
        check_mail(&app)?;
        let admitted = app.limits.admit_reset(&app.db, &origin).await?;

        let (policy, limit_key) = (app.password_policy, app.limits.key());
        let (origin, mail) = (&origin, &app.mail);
        let reset = Reset { password, policy, limit_key, admitted, origin, mail, form: None };
        let proof = (digest(&handle), code.as_str());
        let (db, hasher, tokens) = (&app.db, &app.hasher, &app.reset_tokens);
        Box::pin(forgotten_password::redeem_code(db, hasher, tokens, proof, reset, now)).await?;
        Ok(PasswordReset::Done)
    }
}

/// The body of a request for a mail.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgottenBody {
    /// The email address of the account; case is ignored.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
}

/// The body of a password reset with a code.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    /// The handle from the response to the request for the mail.
    #[oai(validator(max_length = 256), write_only)]
    handle: String,
    /// The code in the mail; case, spaces and hyphens are ignored.
    #[oai(validator(max_length = 32), write_only)]
    code: String,
    /// The new password; the same rules apply as at sign-up.
    #[oai(validator(min_length = 8, max_length = 128), write_only)]
    new_password: String,
}

#[derive(ApiResponse)]
enum PasswordReset {
    /// The password was changed; all sessions have ended.
    #[oai(status = 204)]
    Done,
}

failures! {
    ForgottenFailure {
        BAD_REQUEST "The email address is not valid (`VALIDATION_ERROR`)."
        NOT_FOUND "This server sends no mail (`MAIL_OFF`)."
        TOO_MANY_REQUESTS "Too many requests from this client address (`RATE_LIMIT_EXCEEDED`)."
    }

    CodeFailure {
        BAD_REQUEST "The password is not valid (`VALIDATION_ERROR`), or the code is wrong, expired, \
            used, or not for this handle (`INVALID_RESET_TOKEN`)."
        NOT_FOUND "This server sends no mail (`MAIL_OFF`)."
        TOO_MANY_REQUESTS "Too many attempts from this client address (`RATE_LIMIT_EXCEEDED`)."
    }
}
