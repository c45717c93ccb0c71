//! ID tokens (OpenID Connect Core 1.0 §2).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::sha::sha256;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::granted::ClientGrant;
use crate::domain::token::{Issuer, SigningError, is_access_token};
use crate::timestamp::Timestamp;

/// The `typ` of ID tokens. Some access tokens have the same `typ`.
pub const TOKEN_TYPE: &str = "JWT";

/// The `amr` of a login with a password (RFC 8176 §2).
const METHODS: [&str; 1] = ["pwd"];

/// The `acr` of a login with a password: one factor (ISO/IEC 29115 level 1).
pub const LEVEL: &str = "1";

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    exp: u64,
    iat: u64,
    auth_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'a str,
    amr: [&'a str; 1],
    sid: Uuid,
    at_hash: String,
    /// Claims about the user. None of them has the name of a claim above.
    #[serde(flatten)]
    of_user: &'a Map<String, Value>,
}

/// Signs the ID token that is issued with an access token.
///
/// # Errors
/// As [`Issuer::access_token`].
pub fn sign(
    issuer: &Issuer,
    ClientGrant { granted, nonce, person_claims, .. }: &ClientGrant,
    access_token: &str,
    life: Duration,
    now: Timestamp,
) -> Result<String, SigningError> {
    let digest = sha256(access_token.as_bytes());
    let (left_half, _) = digest.split_at(16);
    issuer.sign_as(
        TOKEN_TYPE,
        &Claims {
            iss: issuer.iss(),
            sub: granted.account_id,
            aud: &granted.client_id,
            exp: now.plus(life).as_seconds(),
            iat: now.as_seconds(),
            auth_time: granted.auth_time.as_seconds(),
            nonce: nonce.as_deref(),
            acr: LEVEL,
            amr: METHODS,
            sid: granted.session_id,
            at_hash: URL_SAFE_NO_PAD.encode(left_half),
            of_user: person_claims,
        },
    )
}

/// The content of an `id_token_hint`. The ID token may have expired: a hint identifies the user,
/// but does not prove a login (OpenID Connect Core 1.0 §3.1.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The account.
    pub account_id: Uuid,
    /// The client to which the ID token was issued.
    pub client_id: String,
    /// The client's session.
    pub session_id: Uuid,
}

/// Parses an `id_token_hint`. Returns `None` if it is not an ID token of this issuer.
#[must_use]
pub fn read_hint(issuer: &Issuer, token: &str) -> Option<Hint> {
    // Access tokens may have the same `typ`.
    let claims = issuer.read_own(TOKEN_TYPE, token).filter(|claims| !is_access_token(claims))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    Some(Hint {
        account_id: text("sub")?.parse().ok()?,
        client_id: text("aud")?.to_owned(),
        session_id: text("sid")?.parse().ok()?,
    })
}
