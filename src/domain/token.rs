//! Access tokens: JWTs (RFC 7519) of the profile `at+jwt` (RFC 9068), signed with RS256. Also the
//! signing of all other tokens, whose claims other modules define.
//!
//! Some resource servers have a decoder that refuses this `typ`. Tokens for them have the `typ`
//! JWT, as ID tokens have. Verifiers then distinguish access tokens from ID tokens by claims that
//! only access tokens have (`signet_verifier`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jws::{self, JwsHeader};
use openssl::error::ErrorStack;
use serde::Serialize;
use serde_json::Value;
use signet_verifier::{AccessToken, Verifier};
use uuid::Uuid;

use crate::domain::granted::{Granted, StatusEntry};
use crate::domain::keys::KeyRing;
use crate::scope::{AudienceClaim, Audiences, Scope};
use crate::timestamp::Timestamp;

/// Maximum length of an access token that is parsed, in bytes.
const MAX_ACCESS_TOKEN_BYTES: usize = 8 * 1024;

/// Maximum length of other tokens of this issuer that are parsed, in bytes. An ID token may contain
/// a profile, and a nonce of 4 KiB, which JSON escaping can double.
const MAX_OWN_TOKEN_BYTES: usize = 24 * 1024;

/// Signs and reads the tokens of one issuer. Access tokens of the JSON API have its default
/// audience.
pub struct Issuer {
    iss: String,
    aud: Audiences,
    life: Duration,
    ring: Arc<KeyRing>,
    header: JwsHeader,
    /// Audiences whose tokens have the `typ` JWT.
    typ_jwt: Vec<String>,
    plain_header: JwsHeader,
}

/// The `typ` of access tokens (RFC 9068 §2.1).
const ACCESS_TOKEN: &str = "at+jwt";

/// The `typ` of ID tokens, and of some access tokens.
const PLAIN: &str = "JWT";

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key ring was not refreshed for a long time, so its signing key may be retired.
    #[error("the key ring is out of date")]
    Stale,
    /// The library failed.
    #[error("the token could not be signed")]
    Sign(#[from] JoseError),
    /// The claims could not be serialized.
    #[error("the token's claims could not be serialized")]
    Claims(#[from] serde_json::Error),
    /// The operating system gave no random bytes.
    #[error("the random generator failed")]
    Random(#[from] ErrorStack),
}

/// The claims of an access token of a user. Times are whole seconds, because some parsers refuse
/// fractions.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: AudienceClaim<'a>,
    exp: u64,
    iat: u64,
    jti: &'a str,
    client_id: &'a str,
    sid: Uuid,
    auth_time: u64,
    scope: &'a Scope,
    /// Equal to `sub`. The services of the application that Signet replaces read this claim.
    user_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusClaim>,
}

/// The session's status list entry (draft-ietf-oauth-status-list section 6.2).
#[derive(Serialize)]
struct StatusClaim {
    status_list: StatusListClaim,
}

#[derive(Serialize)]
struct StatusListClaim {
    idx: i32,
    uri: String,
}

/// The claims of a token from the client credentials grant (RFC 9068 §2.2). Such a token has no
/// user and no session.
#[derive(Serialize)]
struct ClientClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: AudienceClaim<'a>,
    exp: u64,
    iat: u64,
    jti: &'a str,
    client_id: &'a str,
    /// Omitted if empty, because a scope has at least one value (RFC 6749 §3.3). Tokens with the
    /// `typ` JWT always have this claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a Scope>,
}

impl Issuer {
    /// Creates an issuer. `life` is the lifetime of access tokens of the JSON API. Access tokens of
    /// clients have this lifetime at most.
    #[must_use]
    pub fn new(iss: String, aud: &str, life: Duration, ring: Arc<KeyRing>) -> Self {
        let (header, plain_header) = (header_of(ACCESS_TOKEN), header_of(PLAIN));
        let aud = [aud].into_iter().collect();
        Self { iss, aud, life, ring, header, typ_jwt: Vec::new(), plain_header }
    }

    /// Sets the audiences whose tokens have the `typ` JWT.
    #[must_use]
    pub fn with_typ_jwt(self, audiences: Vec<String>) -> Self {
        Self { typ_jwt: audiences, ..self }
    }

    /// A verifier of this issuer's tokens for an audience.
    #[must_use]
    pub fn verifier(&self, audience: &str) -> Verifier {
        let verifier = Verifier::new(&self.iss, audience);
        if self.requires_typ_jwt(audience) { verifier.accept_typ_jwt() } else { verifier }
    }

    /// Whether tokens for this audience have the `typ` JWT, regardless of their other audiences.
    fn requires_typ_jwt(&self, audience: &str) -> bool {
        self.typ_jwt.iter().any(|name| name == audience)
    }

    fn has_typ_jwt(&self, audiences: &Audiences) -> bool {
        audiences.iter().any(|audience| self.requires_typ_jwt(audience))
    }

    fn header_for(&self, audiences: &Audiences) -> &JwsHeader {
        if self.has_typ_jwt(audiences) { &self.plain_header } else { &self.header }
    }

    /// The lifetime of access tokens of the JSON API.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }

    /// The lifetime of a token that is granted now. `life` is the lifetime that the client may
    /// have. The result is at most the issuer's lifetime. The token expires no later than the
    /// session, because tokens of an expired session have no mark in a status list.
    #[must_use]
    pub fn life_of(&self, granted: &Granted, life: Duration, now: Timestamp) -> Duration {
        life.min(self.life).min(granted.refresh_expires_at.since(now))
    }

    /// Checks that a token could be signed. Must be called before a transaction after which a token
    /// is signed.
    ///
    /// # Errors
    /// [`SigningError::Stale`].
    pub fn check_fresh(&self) -> Result<(), SigningError> {
        if self.ring.is_fresh() { Ok(()) } else { Err(SigningError::Stale) }
    }

    /// The `iss` of this issuer's tokens.
    #[must_use]
    pub fn iss(&self) -> &str {
        &self.iss
    }

    /// Whether `name` is an audience of access tokens: the JSON API, the issuer itself, or a
    /// service whose tokens have the `typ` JWT.
    #[must_use]
    pub fn is_audience(&self, name: &str) -> bool {
        self.aud.has(name) || name == self.iss || self.requires_typ_jwt(name)
    }

    /// Signs an access token for a grant, valid from `now`. The lifetime of the token is limited to
    /// the issuer's lifetime, which determines how long keys are published.
    ///
    /// # Errors
    /// [`SigningError::Stale`], or if a library fails. No client input can cause an error.
    pub fn access_token(
        &self,
        granted: &Granted,
        life: Duration,
        now: Timestamp,
    ) -> Result<String, SigningError> {
        let audience = granted.audience.as_ref().unwrap_or(&self.aud);
        let shows_email = granted.scope.has("email");
        self.sign(
            self.header_for(audience),
            &Claims {
                iss: &self.iss,
                sub: granted.account_id,
                aud: audience.claim(),
                exp: now.plus(self.life_of(granted, life, now)).as_seconds(),
                iat: now.as_seconds(),
                jti: &random_id()?,
                client_id: &granted.client_id,
                sid: granted.session_id,
                auth_time: granted.auth_time.as_seconds(),
                scope: &granted.scope,
                user_id: granted.account_id,
                email: shows_email.then_some(&granted.email.email),
                email_verified: shows_email.then_some(granted.email.email_verified),
                status: granted.status.map(|entry| self.status_claim(entry)),
            },
        )
    }

    /// Signs an access token for the client itself (client credentials grant).
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub fn client_token(
        &self,
        client_id: &str,
        audience: &Audiences,
        scope: &Scope,
        life: Duration,
        now: Timestamp,
    ) -> Result<String, SigningError> {
        let has_scope = !scope.is_empty() || self.has_typ_jwt(audience);
        self.sign(
            self.header_for(audience),
            &ClientClaims {
                iss: &self.iss,
                sub: client_id,
                aud: audience.claim(),
                exp: now.plus(life.min(self.life)).as_seconds(),
                iat: now.as_seconds(),
                jti: &random_id()?,
                client_id,
                scope: has_scope.then_some(scope),
            },
        )
    }

    /// Signs claims as a token that is not an access token. `token_type` is its `typ`.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub fn sign_as(
        &self,
        token_type: &str,
        claims: &impl Serialize,
    ) -> Result<String, SigningError> {
        self.sign(&header_of(token_type), claims)
    }

    fn sign(&self, header: &JwsHeader, claims: &impl Serialize) -> Result<String, SigningError> {
        self.check_fresh()?;
        let claims = serde_json::to_vec(claims)?;
        Ok(jws::serialize_compact(&claims, header, &self.ring.current().signer)?)
    }

    /// Checks an access token of this issuer for any audience, as resource servers do. Returns its
    /// claims, or `None` if the token is invalid.
    #[must_use]
    pub fn read_access_token(&self, token: &str, now: Timestamp) -> Option<(AccessToken, Value)> {
        if token.len() > MAX_ACCESS_TOKEN_BYTES {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        let audiences = match claims.get("aud")? {
            Value::Array(all) => all.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?,
            single => vec![single.as_str()?],
        };
        // An audience that requires the `typ` JWT is preferred, because the verifier then accepts
        // this `typ`.
        let audience = audiences.iter().find(|audience| self.requires_typ_jwt(audience));
        let audience = audience.or(audiences.first())?;
        let keys = self.ring.current();
        let token = self
            .verifier(audience)
            .verify(&keys.verification_keys, token, now.as_seconds())
            .ok()?;
        Some((token, claims))
    }

    /// The claims of a token that this issuer signed with the `typ` `token_type`, even if the token
    /// has expired or its key has been retired. `None` if the key was revoked, and for any other
    /// text.
    #[must_use]
    pub fn read_own(&self, token_type: &str, token: &str) -> Option<Value> {
        if token.len() > MAX_OWN_TOKEN_BYTES {
            return None;
        }
        let payload = self.ring.current().verified(token_type, token)?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        (claims.get("iss")?.as_str()? == self.iss).then_some(claims)
    }

    /// The claims of an access token that this issuer signed, even if the token has expired.
    #[must_use]
    pub fn read_own_access_token(&self, token: &str) -> Option<Value> {
        self.read_own(ACCESS_TOKEN, token)
            .or_else(|| self.read_own(PLAIN, token).filter(is_access_token))
    }

    fn status_claim(&self, entry: StatusEntry) -> StatusClaim {
        let uri = self.status_uri(entry.list);
        StatusClaim { status_list: StatusListClaim { idx: entry.index, uri } }
    }

    /// The URI of a status list, in tokens and in the list's `sub`.
    #[must_use]
    pub fn status_uri(&self, list: i32) -> String {
        format!("{}/status/{list}", self.iss)
    }

    /// Signs a status list. Also returns the ID of the signing key.
    ///
    /// # Errors
    /// As for [`Issuer::access_token`].
    pub fn status_list_token(
        &self,
        claims: &impl Serialize,
    ) -> Result<(String, String), SigningError> {
        self.check_fresh()?;
        let header = header_of("statuslist+jwt");
        let ring = self.ring.current();
        let token = jws::serialize_compact(&serde_json::to_vec(claims)?, &header, &ring.signer)?;
        Ok((token, ring.kid.clone()))
    }

    /// Whether the key with this ID is the current signing key.
    #[must_use]
    pub fn signs_with(&self, kid: &str) -> bool {
        self.ring.current().kid == kid
    }
}

fn header_of(token_type: &str) -> JwsHeader {
    let mut header = JwsHeader::new();
    header.set_token_type(token_type);
    header
}

/// Whether a token with the `typ` JWT is an access token. An ID token lacks `client_id`, and names
/// its client only in `aud`.
#[must_use]
pub fn is_access_token(claims: &Value) -> bool {
    let has = |name| claims.get(name).is_some_and(Value::is_string);
    ["client_id", "jti", "scope"].into_iter().all(has)
}

/// A value for `jti`: 128 random bits.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn random_id() -> Result<String, ErrorStack> {
    let mut id = [0; 16];
    openssl::rand::rand_bytes(&mut id)?;
    Ok(URL_SAFE_NO_PAD.encode(id))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::random_id;

    /// MUST-136.
    #[test]
    fn ten_thousand_ids_are_unique() {
        let ids: HashSet<_> = (0..10_000).map(|_| random_id().unwrap()).collect();

        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 22), "128 bits each");
    }
}
