//! Code shared by the endpoints that request a mail with a link and a code.

use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use crate::domain::email_challenge::LIFE;
use crate::domain::secret::Secret;
use crate::http::app::App;
use crate::http::error::Problem;
use crate::http::json::Json;

/// The prefix of handles, for secret scanners.
const HANDLE_PREFIX: &str = "sgh_";

/// The handle that belongs to the code of a mail.
#[derive(Object, Serialize)]
pub(super) struct Requested {
    /// The secret that must be sent together with the code.
    #[oai(validator(max_length = 256))]
    handle: String,
    /// The lifetime of the code and the link, in seconds.
    expires_in: u64,
}

#[derive(ApiResponse)]
pub(super) enum MailRequested {
    /// The request was accepted; the response does not say whether there is an account.
    #[oai(status = 202)]
    Accepted(Json<Requested>),
}

impl Requested {
    pub(super) fn with(handle: Secret) -> Json<Self> {
        Json(Self { handle: handle.text, expires_in: LIFE.as_secs() })
    }
}

impl MailRequested {
    pub(super) fn with(handle: Secret) -> Self {
        Self::Accepted(Requested::with(handle))
    }
}

/// A random handle, whose digest is stored with the challenge of the mail.
pub(super) fn generate_handle() -> Result<Secret, Problem> {
    Secret::generate(HANDLE_PREFIX).map_err(|error| Problem::failed(&error))
}

/// 404 if mail is off.
pub(super) fn check_mail(app: &App) -> Result<(), Problem> {
    if app.mail.is_on() { Ok(()) } else { Err(Problem::mail_is_off()) }
}
