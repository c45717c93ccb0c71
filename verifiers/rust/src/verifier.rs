//! The checks of RFC 9068 §4, in the order that trusts least:
//!
//! 1. size and shape, before anything of the token's size is allocated;
//! 2. the header, which may only name a key of the set;
//! 3. the signature;
//! 4. the claims, whose meaning nobody has looked at before.

use crate::access_token::AccessToken;
use crate::claims::Claims;
use crate::error::StatusListError;
use crate::error::VerifyError;
use crate::header::Type;
use crate::jws::Jws;
use crate::key_set::KeySet;
use crate::status_list::StatusList;

/// Longest token that is looked at, in bytes; Signet's have about one thousand.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Longest status list token that is looked at, in bytes.
pub(crate) const MAX_STATUS_LIST_TOKEN_BYTES: usize = 2 * 1024 * 1024;

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
        let jws = Jws::split(token, MAX_TOKEN_BYTES)?;
        let (header, claims) = (jws.header()?, Claims::parse(&jws.payload)?);
        jws.check(&header, keys, Type::AccessToken)?;
        self.check_parties(&claims)?;
        self.check_times(&claims, now)?;
        AccessToken::from_claims(&claims, &self.issuer)
    }

    /// Checks a status list token (draft-ietf-oauth-status-list §8.3) that was
    /// fetched for `uri`, at `now`, in seconds since the Unix epoch.
    ///
    /// It is signed with a key of the same set as access tokens. A list that was
    /// accepted may be used until [`StatusList::expires_at`] + leeway.
    ///
    /// # Errors
    /// See [`StatusListError`]: the list says nothing, as if it could not be had.
    pub fn verify_status_list(
        &self,
        keys: &KeySet,
        uri: &str,
        token: &str,
        now: u64,
    ) -> Result<StatusList, StatusListError> {
        let jws = Jws::split(token, MAX_STATUS_LIST_TOKEN_BYTES)?;
        let (header, claims) = (jws.header()?, Claims::parse(&jws.payload)?);
        jws.check(&header, keys, Type::StatusList)?;
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

    /// Whether `exp` is over, give or take the leeway.
    pub(crate) fn has_passed(&self, exp: u64, now: u64) -> bool {
        now >= exp.saturating_add(self.leeway_seconds)
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
