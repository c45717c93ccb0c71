//! The tokens in the responses to sign-up, login and refresh, which have the same body.

use poem_openapi::Object;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::granted::Granted;
use crate::domain::secret::Secret;
use crate::domain::token::SigningError;
use crate::http::app::App;
use crate::http::json::Json;

/// The tokens of a session, and the account that it belongs to.
#[derive(Object, Serialize)]
pub(super) struct AuthTokens {
    /// The account id; also the `sub` and `user_id` claims of the access token.
    user_id: Uuid,
    /// The email address of the account.
    email: String,
    /// Whether the user has proved control of the email address.
    email_verified: bool,
    /// The access token, a JWT for resource servers (RFC 9068).
    access_token: String,
    /// Same as `access_token`, for older front ends.
    #[oai(deprecated)]
    token: String,
    /// Always `Bearer`.
    token_type: String,
    /// Lifetime of the access token, in seconds.
    expires_in: u64,
    /// The refresh token, for one use at `/api/auth/refresh`.
    refresh_token: String,
    /// Lifetime of the refresh token, in seconds.
    refresh_token_expires_in: u64,
    /// The secret of this device for `/api/auth/email/verify/code`. Only after a sign-up that sent a
    /// mail with a link and a code to verify the email address.
    #[oai(validator(max_length = 256), skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_handle: Option<String>,
}

impl AuthTokens {
    /// Signs the tokens for a grant. They are valid from now, and not from the start of the
    /// request, because `iat` must not precede `auth_time`, which the transaction of the login has
    /// set.
    pub(super) fn sign(app: &App, granted: Granted) -> Result<Json<Self>, SigningError> {
        Self::try_to_sign(app, granted).inspect_err(|_| app.db.note_lost_response())
    }

    /// As [`sign`](Self::sign), after a sign-up that began a verification of the email address.
    pub(super) fn sign_with_handle(
        app: &App,
        granted: Granted,
        handle: Secret,
    ) -> Result<Json<Self>, SigningError> {
        let Json(tokens) = Self::sign(app, granted)?;
        Ok(Json(Self { verification_handle: Some(handle.text), ..tokens }))
    }

    fn try_to_sign(app: &App, granted: Granted) -> Result<Json<Self>, SigningError> {
        let now = app.clock.now();
        let lifetime = app.issuer.life_of(&granted, app.issuer.life(), now);
        let access_token = app.issuer.access_token(&granted, lifetime, now)?;
        Ok(Json(Self {
            user_id: granted.account_id,
            token: access_token.clone(),
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: lifetime.as_secs(),
            refresh_token: app.refresh_tokens.encode(granted.session_id, granted.generation)?,
            refresh_token_expires_in: granted.refresh_expires_at.since(now).as_secs(),
            email: granted.email.email,
            email_verified: granted.email.email_verified,
            verification_handle: None,
        }))
    }
}
