//! The tokens in the responses to sign-up, login and refresh: one body for all three.

use poem_openapi::Object;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::granted::Granted;
use crate::domain::token::SigningError;
use crate::http::app::App;
use crate::http::json::Json;

/// Who is logged in, and the tokens to show for it.
#[derive(Object, Serialize)]
pub(super) struct AuthTokens {
    /// The account; also the token's `sub` and `user_id`.
    user_id: Uuid,
    /// The account's address.
    email: String,
    /// Whether its owner proved to control the address.
    email_verified: bool,
    /// A JWT for the services (RFC 9068).
    access_token: String,
    /// The same as `access_token`, under the name that older front ends read.
    #[oai(deprecated)]
    token: String,
    /// Always `Bearer`.
    token_type: String,
    /// Life of the access token, in seconds.
    expires_in: u64,
    /// Exchanged for new tokens once, at `/api/auth/refresh`.
    refresh_token: String,
    /// Life of the refresh token if it is not used, in seconds.
    refresh_token_expires_in: u64,
}

impl AuthTokens {
    /// Signs the tokens for a grant, valid from now: `iat` must not precede `auth_time`, which was
    /// read in the transaction.
    pub(super) fn sign(app: &App, granted: Granted) -> Result<Json<Self>, SigningError> {
        Self::try_to_sign(app, granted).inspect_err(|_| app.db.note_lost_answer())
    }

    fn try_to_sign(app: &App, granted: Granted) -> Result<Json<Self>, SigningError> {
        let now = app.clock.now();
        let access_token = app.issuer.access_token(&granted, now)?;
        Ok(Json(Self {
            user_id: granted.account_id,
            token: access_token.clone(),
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: app.issuer.life_of(&granted, app.issuer.life(), now).as_secs(),
            refresh_token: app.refresh_tokens.encode(granted.session_id, granted.generation)?,
            refresh_token_expires_in: granted.refresh_expires_at.since(now).as_secs(),
            email: granted.email.email,
            email_verified: granted.email.email_verified,
        }))
    }
}
