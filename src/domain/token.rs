//! Access tokens: JWTs (RFC 7519) of the profile `at+jwt` (RFC 9068), signed RS256.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jws::{self, JwsHeader};
use openssl::error::ErrorStack;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::keys::KeyRing;
use crate::domain::session::Granted;
use crate::domain::status::StatusEntry;
use crate::timestamp::Timestamp;

/// Signs access tokens in the name of one issuer, for one audience.
pub struct Issuer {
    iss: String,
    aud: String,
    life: Duration,
    ring: Arc<KeyRing>,
    header: JwsHeader,
}

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The keys have not been looked up for so long that the one at hand may be retired.
    #[error("the key ring is out of date")]
    Stale,
    /// The library failed.
    #[error("the token could not be signed")]
    Sign(#[from] JoseError),
    /// The claims could not be written.
    #[error("the token's claims could not be written")]
    Claims(#[from] serde_json::Error),
    /// The operating system gave no random bytes.
    #[error("no random bytes were to be had")]
    Random(#[from] ErrorStack),
}

/// The claims of a person's token. Times are whole seconds: some readers refuse fractions.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    exp: u64,
    iat: u64,
    jti: &'a str,
    client_id: &'a str,
    sid: Uuid,
    auth_time: u64,
    scope: &'a str,
    /// Equal to `sub`; what the original application's services read.
    user_id: Uuid,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusClaim>,
}

/// Where to look whether the session has ended (draft-ietf-oauth-status-list section 6.2).
#[derive(Serialize)]
struct StatusClaim {
    status_list: StatusListClaim,
}

#[derive(Serialize)]
struct StatusListClaim {
    idx: i32,
    uri: String,
}

impl Issuer {
    /// An issuer whose tokens live for `life`.
    #[must_use]
    pub fn new(iss: String, aud: String, life: Duration, ring: Arc<KeyRing>) -> Self {
        let mut header = JwsHeader::new();
        header.set_token_type("at+jwt");
        Self { iss, aud, life, ring, header }
    }

    /// How long its tokens live.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }

    /// Whether a token could be signed: to be asked before anything is done that ends in one.
    ///
    /// # Errors
    /// [`SigningError::Stale`].
    pub fn check_fresh(&self) -> Result<(), SigningError> {
        if self.ring.is_fresh() { Ok(()) } else { Err(SigningError::Stale) }
    }

    /// Signs an access token for what was granted, valid from `now`.
    ///
    /// # Errors
    /// [`SigningError::Stale`], or if a library fails; nothing that a caller sent can make it.
    pub fn access_token(&self, granted: &Granted, now: Timestamp) -> Result<String, SigningError> {
        self.check_fresh()?;
        let mut jti = [0; 16];
        openssl::rand::rand_bytes(&mut jti)?;
        let claims = serde_json::to_vec(&Claims {
            iss: &self.iss,
            sub: granted.account_id,
            aud: &self.aud,
            exp: now.plus(self.life).as_seconds(),
            iat: now.as_seconds(),
            jti: &URL_SAFE_NO_PAD.encode(jti),
            client_id: &granted.client_id,
            sid: granted.session_id,
            auth_time: granted.auth_time.as_seconds(),
            scope: &granted.scope,
            user_id: granted.account_id,
            email: &granted.email,
            status: granted.status.map(|entry| self.status_claim(entry)),
        })?;
        Ok(jws::serialize_compact(&claims, &self.header, self.ring.current().signer())?)
    }

    fn status_claim(&self, entry: StatusEntry) -> StatusClaim {
        let uri = self.status_uri(entry.list);
        StatusClaim { status_list: StatusListClaim { idx: entry.index, uri } }
    }

    /// Where a status list is published: what its tokens and its own `sub` say, byte for byte.
    #[must_use]
    pub fn status_uri(&self, list: i32) -> String {
        format!("{}/status/{list}", self.iss)
    }

    /// Signs a status list. Says which key did it, too.
    ///
    /// # Errors
    /// As for [`Issuer::access_token`].
    pub fn status_list_token(
        &self,
        claims: &impl Serialize,
    ) -> Result<(String, String), SigningError> {
        self.check_fresh()?;
        let mut header = JwsHeader::new();
        header.set_token_type("statuslist+jwt");
        let ring = self.ring.current();
        let token = jws::serialize_compact(&serde_json::to_vec(claims)?, &header, ring.signer())?;
        Ok((token, ring.kid().to_owned()))
    }

    /// Whether the key of this id is the one that signs now.
    #[must_use]
    pub fn signs_with(&self, kid: &str) -> bool {
        self.ring.current().kid() == kid
    }
}
