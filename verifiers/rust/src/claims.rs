//! The claims of a token, read by type: a claim of the wrong type is never
//! converted, it refuses the token.

use std::time::Duration;

use crate::error::VerifyError;
use crate::json::Json;
use crate::json::Object;
use crate::status::StatusReference;

/// Whole numbers start here to be refused. A double counts exactly up to 2^53, so
/// every reader in every language sees the same second or place below it.
const INTEGER_LIMIT: u64 = 1 << 53;

/// A claims set. It is read before its signature is checked, and believed after.
pub(crate) struct Claims<'a>(Object<'a>);

impl<'a> Claims<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, VerifyError> {
        Object::parse(payload).map(Self).ok_or(VerifyError::Malformed)
    }

    /// Whether the claim is there, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    /// A claim that must be there and not be empty.
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, VerifyError> {
        self.0
            .text(name)
            .filter(|text| !text.is_empty())
            .ok_or(VerifyError::MissingOrInvalidClaim(name))
    }

    /// A claim that may be absent; `null` is not absent.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(VerifyError::MissingOrInvalidClaim(name)),
        }
    }

    /// A `NumericDate` that must be there, in whole seconds below 2^53.
    pub(crate) fn seconds(&self, name: &'static str) -> Result<u64, VerifyError> {
        self.optional_seconds(name)?.ok_or(VerifyError::MissingOrInvalidClaim(name))
    }

    /// A `NumericDate` that may be absent; `null` is not absent.
    ///
    /// RFC 7519 §2 also allows fractions. Signet writes none, and a reader that
    /// rounds can be told two times by one token, so they are refused.
    pub(crate) fn optional_seconds(&self, name: &'static str) -> Result<Option<u64>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::Integer(seconds)) if *seconds < INTEGER_LIMIT => Ok(Some(*seconds)),
            Some(_) => Err(VerifyError::MissingOrInvalidClaim(name)),
        }
    }

    /// A length of time above 0 that may be absent, in seconds and their fractions.
    /// One that is too long to be counted is as good as endless.
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

    /// `status` (draft-ietf-oauth-status-list §6.1), which may be absent. Its list
    /// must be one of the issuer's: a token cannot send its reader anywhere else.
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

    /// Tells whether `aud`, a string or a list of strings, names `audience`
    /// (RFC 7519 §4.1.3). An empty audience is named by nothing.
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
