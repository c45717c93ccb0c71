//! The claims of a token, read by type: a claim of the wrong type is never
//! converted, it refuses the token.

use crate::error::VerifyError;
use crate::json::Json;
use crate::json::Object;

/// Times start here to be refused. A double counts whole numbers exactly up to
/// 2^53, so every reader in every language sees the same second below it.
const TIME_LIMIT: u64 = 1 << 53;

/// A claims set whose signature has been checked.
pub(crate) struct Claims<'a>(Object<'a>);

impl<'a> Claims<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, VerifyError> {
        Object::parse(payload).map(Self).ok_or(VerifyError::Malformed)
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
            Some(Json::Integer(seconds)) if *seconds < TIME_LIMIT => Ok(Some(*seconds)),
            Some(_) => Err(VerifyError::MissingOrInvalidClaim(name)),
        }
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
