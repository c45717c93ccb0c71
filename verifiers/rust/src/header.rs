//! The JOSE header: the only part of a token that is used before its signature is checked.
//!
//! It may only name a key of the set. This crate determines the algorithm, not the token (RFC 8725
//! §3.1), and no parameter may supply a key or change a rule.

use crate::error::VerifyError;
use crate::json::Object;

/// The parameters that are refused with any value. `crit` and `b64` change how a token is
/// processed. The others supply a key, or the URL of a key.
const FORBIDDEN: [&str; 6] = ["crit", "b64", "jwk", "jku", "x5c", "x5u"];

/// The required `typ` of a JWS (RFC 8725 §3.11), so that no kind of token is accepted as another.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    /// RFC 9068 §2.1.
    AccessToken,
    /// RFC 7519 §5.1: any JWT, including ID tokens.
    Jwt,
    /// draft-ietf-oauth-status-list §5.1.
    StatusList,
}

impl Type {
    /// Both names denote the same media type, which is case-insensitive (RFC 7515 §4.1.9).
    fn is_named(self, typ: &str) -> bool {
        let names = match self {
            Self::AccessToken => ["at+jwt", "application/at+jwt"],
            Self::Jwt => ["jwt", "application/jwt"],
            Self::StatusList => ["statuslist+jwt", "application/statuslist+jwt"],
        };
        names.into_iter().any(|name| typ.eq_ignore_ascii_case(name))
    }
}

/// A header with a `kid`, whose other parameters are not checked yet.
pub(crate) struct Header<'h>(Object<'h>);

/// Parses the header, which must have a `kid`.
pub(crate) fn parse(json: &[u8]) -> Result<Header<'_>, VerifyError> {
    let header = Object::parse(json).map(Header).ok_or(VerifyError::Malformed)?;
    header.named_key().is_some().then_some(header).ok_or(VerifyError::Malformed)
}

impl Header<'_> {
    /// Checks `alg`, `typ` and the forbidden parameters, and returns `kid`.
    ///
    /// Other parameters are ignored, as RFC 7515 §4 requires.
    pub(crate) fn key_id(&self, wanted: &[Type]) -> Result<&str, VerifyError> {
        if let Some(name) = FORBIDDEN.into_iter().find(|name| self.0.get(name).is_some()) {
            return Err(VerifyError::ForbiddenHeader(name));
        }
        if self.0.text("alg") != Some("RS256") {
            return Err(VerifyError::UnsupportedAlgorithm);
        }
        if !wanted.iter().any(|wanted| self.has_type(*wanted)) {
            return Err(VerifyError::WrongType);
        }
        self.named_key().ok_or(VerifyError::Malformed)
    }

    /// Whether `typ` names this type.
    pub(crate) fn has_type(&self, wanted: Type) -> bool {
        self.0.text("typ").is_some_and(|typ| wanted.is_named(typ))
    }

    fn named_key(&self) -> Option<&str> {
        self.0.text("kid").filter(|kid| !kid.is_empty())
    }
}
