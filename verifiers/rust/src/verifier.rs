//! The checks of RFC 9068 §4, in the order that trusts least:
//!
//! 1. size and shape, before anything of the token's size is allocated;
//! 2. the header, which may only name a key of the set;
//! 3. the signature;
//! 4. the claims, which nobody has looked at before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::access_token::AccessToken;
use crate::claims::Claims;
use crate::error::VerifyError;
use crate::header;
use crate::json::Object;
use crate::key_set::KeySet;

/// Longest token that is looked at, in bytes; Signet's have about one thousand.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

const DEFAULT_LEEWAY_SECONDS: u64 = 30;
const MAX_LEEWAY_SECONDS: u64 = 60;

/// Checks access tokens of one issuer for one audience.
///
/// It holds no keys and reads no clock: both are arguments, so that a key set can
/// be replaced at any time and a test can choose the second. No check can be
/// turned off.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuer: String,
    audience: String,
    leeway_seconds: u64,
}

impl Verifier {
    /// `issuer` is compared byte for byte, so mind a final slash; `audience` is
    /// this service's own name as it stands in `aud`. An empty string matches no
    /// token.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            leeway_seconds: DEFAULT_LEEWAY_SECONDS,
        }
    }

    /// Sets how far the issuer's clock and the caller's may disagree, in seconds:
    /// 30 unless set, at most 60, more is cut to 60.
    #[must_use]
    pub fn leeway_seconds(self, seconds: u64) -> Self {
        Self { leeway_seconds: seconds.min(MAX_LEEWAY_SECONDS), ..self }
    }

    /// Checks `token` at `now`, in seconds since the Unix epoch.
    ///
    /// A token is refused from the second `exp` + leeway on (`now >= exp +
    /// leeway`), and while `nbf` or `iat` is later than `now` + leeway. Claims that
    /// [`AccessToken`] does not show are ignored.
    ///
    /// # Errors
    /// See [`VerifyError`]: all are answered 401, after a second try with a newly
    /// fetched key set in the case of [`VerifyError::UnknownKey`].
    pub fn verify(&self, keys: &KeySet, token: &str, now: u64) -> Result<AccessToken, VerifyError> {
        let parts = Parts::split(token)?;
        let header = Object::parse(&parts.header).ok_or(VerifyError::Malformed)?;
        let kid = header::key_id(&header)?;
        let key = keys.key(kid).ok_or_else(|| VerifyError::unknown_key(kid))?;
        if !key.verifies(parts.signed.as_bytes(), &parts.signature) {
            return Err(VerifyError::BadSignature);
        }
        let claims = Claims::parse(&parts.payload)?;
        self.check_parties(&claims)?;
        self.check_times(&claims, now)?;
        AccessToken::from_claims(&claims)
    }

    fn check_parties(&self, claims: &Claims<'_>) -> Result<(), VerifyError> {
        if claims.text("iss")? != self.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if !claims.names_audience(&self.audience)? {
            return Err(VerifyError::WrongAudience);
        }
        Ok(())
    }

    fn check_times(&self, claims: &Claims<'_>, now: u64) -> Result<(), VerifyError> {
        if now >= claims.seconds("exp")?.saturating_add(self.leeway_seconds) {
            return Err(VerifyError::Expired);
        }
        let latest_start = now.saturating_add(self.leeway_seconds);
        if claims.seconds("iat")? > latest_start
            || claims.optional_seconds("nbf")?.is_some_and(|nbf| nbf > latest_start)
        {
            return Err(VerifyError::NotYetValid);
        }
        Ok(())
    }
}

/// A compact JWS (RFC 7515 §3.1), decoded but not yet believed.
struct Parts<'t> {
    /// Header and payload as sent: what the signature covers.
    signed: &'t str,
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> Parts<'t> {
    fn split(token: &'t str) -> Result<Self, VerifyError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::Malformed);
        }
        // A fourth part would leave a dot in the payload, which is not base64url.
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(VerifyError::Malformed)?;
        Ok(Self {
            signed,
            header: decode(header)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

/// Unpadded base64url in its one canonical form: no padding, no whitespace, no
/// stray bits in the last character (RFC 7515 §2, RFC 4648 §3.5).
fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::Malformed)
}
