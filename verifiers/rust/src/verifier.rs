//! The checks of RFC 9068 §4, in this order:
//!
//! 1. the size, before any allocation that depends on it, and the format;
//! 2. the header, which may only name a key of the set;
//! 3. the signature;
//! 4. if `typ` is `JWT`, and this is accepted, that the token is not an ID token;
//! 5. the other claims, which are not used before.

use crate::access_token::AccessToken;
use crate::claims::Claims;
use crate::error::StatusListError;
use crate::error::VerifyError;
use crate::header::Type;
use crate::jws::Jws;
use crate::key_set::KeySet;
use crate::status_list::StatusList;

/// Longest token that is parsed, in bytes. Signet's tokens have about one thousand.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Longest status list token that is parsed, in bytes.
pub(crate) const MAX_STATUS_LIST_TOKEN_BYTES: usize = 2 * 1024 * 1024;

const DEFAULT_LEEWAY_SECONDS: u64 = 30;
const MAX_LEEWAY_SECONDS: u64 = 60;

/// Checks access tokens of one issuer for one audience.
///
/// It has no keys and reads no clock. Both are arguments, so that a key set can be replaced and a
/// test can choose the time. No check can be turned off.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuer: String,
    audience: String,
    leeway_seconds: u64,
    accepts_typ_jwt: bool,
}

impl Verifier {
    /// `issuer` is compared byte for byte, so a trailing slash matters. `audience` is the name of
    /// this service in `aud`. An empty string matches no token.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            leeway_seconds: DEFAULT_LEEWAY_SECONDS,
            accepts_typ_jwt: false,
        }
    }

    /// Sets the tolerated difference between the issuer's clock and the caller's, in seconds. The
    /// default is 30, and values above 60 are reduced to 60.
    #[must_use]
    pub fn leeway_seconds(self, seconds: u64) -> Self {
        Self { leeway_seconds: seconds.min(MAX_LEEWAY_SECONDS), ..self }
    }

    /// Accepts tokens with `typ` `JWT`, too, in any case and also as `application/JWT`. By default,
    /// only `at+jwt` is accepted (RFC 9068 §4).
    ///
    /// Use this for an audience for which Signet is configured to issue such tokens
    /// (`SIGNET_TYP_JWT_AUDIENCES`). ID tokens have the same `typ`. So a token with this `typ` must
    /// have the strings `client_id`, `jti` and `scope`, and must not have `nonce` or `at_hash` (RFC
    /// 8725 §3.12). The requirements for `at+jwt` do not change.
    #[must_use]
    pub fn accept_typ_jwt(self) -> Self {
        Self { accepts_typ_jwt: true, ..self }
    }

    /// Checks `token` at `now`, in seconds since the Unix epoch.
    ///
    /// A token is refused from the second `exp` + leeway on (`now >= exp + leeway`), and while
    /// `nbf` or `iat` is later than `now` + leeway. Claims that [`AccessToken`] does not expose are
    /// ignored.
    ///
    /// # Errors
    /// See [`VerifyError`]. Answer 401. After [`VerifyError::UnknownKey`], first retry with a newly
    /// fetched key set.
    pub fn verify(&self, keys: &KeySet, token: &str, now: u64) -> Result<AccessToken, VerifyError> {
        let jws = Jws::split(token, MAX_TOKEN_BYTES)?;
        let (header, claims) = (jws.header()?, Claims::parse(&jws.payload)?);
        jws.check(&header, keys, self.access_token_types())?;
        if header.has_type(Type::Jwt) {
            check_not_id_token(&claims)?;
        }
        self.check_parties(&claims)?;
        self.check_times(&claims, now)?;
        AccessToken::from_claims(&claims, &self.issuer)
    }

    /// Checks a status list token (draft-ietf-oauth-status-list §8.3) that was fetched from `uri`,
    /// at `now`, in seconds since the Unix epoch.
    ///
    /// The list is signed with a key of the same set as access tokens. An accepted list may be used
    /// until [`StatusList::expires_at`] + leeway.
    ///
    /// # Errors
    /// See [`StatusListError`]: treat the list as unavailable.
    pub fn verify_status_list(
        &self,
        keys: &KeySet,
        uri: &str,
        token: &str,
        now: u64,
    ) -> Result<StatusList, StatusListError> {
        let jws = Jws::split(token, MAX_STATUS_LIST_TOKEN_BYTES)?;
        let (header, claims) = (jws.header()?, Claims::parse(&jws.payload)?);
        jws.check(&header, keys, &[Type::StatusList])?;
        if claims.text("sub")? != uri {
            return Err(StatusListError::WrongUri);
        }
        if claims.optional_text("iss")?.is_some_and(|issuer| issuer != self.issuer) {
            return Err(VerifyError::WrongIssuer.into());
        }
        if claims.seconds("iat")? > now.saturating_add(self.leeway_seconds) {
            return Err(VerifyError::NotYetValid.into());
        }
        if claims.optional_seconds("exp")?.is_some_and(|exp| self.has_passed(exp, now)) {
            return Err(VerifyError::Expired.into());
        }
        StatusList::from_claims(&claims)
    }

    /// Whether `exp` + leeway has passed.
    pub(crate) fn has_passed(&self, exp: u64, now: u64) -> bool {
        now >= exp.saturating_add(self.leeway_seconds)
    }

    fn access_token_types(&self) -> &'static [Type] {
        if self.accepts_typ_jwt { &[Type::AccessToken, Type::Jwt] } else { &[Type::AccessToken] }
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
        if self.has_passed(claims.seconds("exp")?, now) {
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

/// Rejects an ID token by its claims, if `typ` does not distinguish it from an access token (RFC
/// 8725 §3.12). Signet's ID tokens lack `client_id`, `jti` and `scope`. They have `at_hash`, and
/// usually `nonce` (OpenID Connect Core §2, §3.1.3.6).
fn check_not_id_token(claims: &Claims<'_>) -> Result<(), VerifyError> {
    if ["nonce", "at_hash"].into_iter().any(|name| claims.has(name)) {
        return Err(VerifyError::WrongType);
    }
    for name in ["client_id", "jti", "scope"] {
        claims.optional_text(name)?.ok_or(VerifyError::MissingOrInvalidClaim(name))?;
    }
    Ok(())
}
