//! Typed access to the claims of a token. A claim of the wrong type is never converted: the token
//! is refused.

use std::time::Duration;

use crate::error::VerifyError;
use crate::json::Json;
use crate::json::Object;
use crate::status::StatusReference;

/// Whole numbers at or above this limit are refused. A double represents integers up to 2^53
/// exactly, so below the limit, the parsers of all languages read the same number.
const INTEGER_LIMIT: u64 = 1 << 53;

/// A claims set. It is parsed before its signature is checked, and trusted only after that.
pub(crate) struct Claims<'a>(Object<'a>);

impl<'a> Claims<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, VerifyError> {
        Object::parse(payload).map(Self).ok_or(VerifyError::Malformed)
    }

    /// Whether the claim is present, with any value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    /// A required, non-empty string claim.
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, VerifyError> {
        self.0
            .text(name)
            .filter(|text| !text.is_empty())
            .ok_or(VerifyError::MissingOrInvalidClaim(name))
    }

    /// An optional string claim. `null` does not count as absent.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(VerifyError::MissingOrInvalidClaim(name)),
        }
    }

    /// A required `NumericDate`, in whole seconds below 2^53.
    pub(crate) fn seconds(&self, name: &'static str) -> Result<u64, VerifyError> {
        self.optional_seconds(name)?.ok_or(VerifyError::MissingOrInvalidClaim(name))
    }

    /// An optional `NumericDate`. `null` does not count as absent.
    ///
    /// RFC 7519 §2 also allows fractions. Signet issues none, and parsers that round differently
    /// would read different times from one token, so fractions are refused.
    pub(crate) fn optional_seconds(&self, name: &'static str) -> Result<Option<u64>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Integer(seconds)) if *seconds < INTEGER_LIMIT => Ok(Some(*seconds)),
            Some(_) => Err(VerifyError::MissingOrInvalidClaim(name)),
        }
    }

    /// An optional duration above 0, in seconds, which may have a fraction. A duration that exceeds
    /// the range counts as unlimited.
    pub(crate) fn optional_duration(
        &self,
        name: &'static str,
    ) -> Result<Option<Duration>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Integer(seconds)) if *seconds > 0 => Ok(Some(Duration::from_secs(*seconds))),
            Some(Json::Fraction(seconds)) if *seconds > 0.0 => {
                Ok(Some(Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX)))
            }
            Some(_) => Err(VerifyError::MissingOrInvalidClaim(name)),
        }
    }

    /// The optional claim `status` (draft-ietf-oauth-status-list §6.1). The URL of its list must
    /// belong to the issuer: a token must not make the verifier fetch other URLs.
    pub(crate) fn status(&self, issuer: &str) -> Result<Option<StatusReference>, VerifyError> {
        match self.0.get("status") {
            None => Ok(None),
            Some(status) => reference(status, issuer)
                .map(Some)
                .ok_or(VerifyError::MissingOrInvalidClaim("status")),
        }
    }

    /// A claim that is an object.
    pub(crate) fn object(&self, name: &str) -> Option<&Object<'a>> {
        self.0.get(name)?.as_object()
    }

    /// Whether `aud`, a string or a list of strings, contains `audience` (RFC 7519 §4.1.3). An
    /// empty audience never matches.
    pub(crate) fn names_audience(&self, audience: &str) -> Result<bool, VerifyError> {
        let invalid = VerifyError::MissingOrInvalidClaim("aud");
        let named = match self.0.get("aud") {
            Some(Json::Text(only)) => only == audience,
            Some(Json::List(all)) if all.iter().all(|one| one.as_text().is_some()) => {
                all.iter().any(|one| one.as_text() == Some(audience))
            }
            _ => return Err(invalid),
        };
        Ok(named && !audience.is_empty())
    }
}

fn reference(status: &Json<'_>, issuer: &str) -> Option<StatusReference> {
    let list = status.as_object()?.get("status_list")?.as_object()?;
    let uri = list
        .text("uri")
        .filter(|uri| uri.strip_prefix(issuer).is_some_and(|path| path.starts_with('/')))?;
    match list.get("idx") {
        Some(Json::Integer(index)) if *index < INTEGER_LIMIT => {
            Some(StatusReference { uri: uri.to_owned(), index: *index })
        }
        _ => None,
    }
}
