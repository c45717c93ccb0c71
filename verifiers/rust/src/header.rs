//! The JOSE header: the only part of a token that is read before its signature.
//!
//! It may name a key of the set, and nothing else. The algorithm is ours, not the
//! token's (RFC 8725 §3.1), and no parameter may bring a key or a rule along.

use crate::error::VerifyError;
use crate::json::Object;

/// Refused with any value. `crit` and `b64` change how the rest is read; the
/// others bring the key, or the address of one, along with the token.
const FORBIDDEN: [&str; 6] = ["crit", "b64", "jwk", "jku", "x5c", "x5u"];

/// Checks `alg`, `typ` and the forbidden parameters, and returns `kid`.
///
/// Parameters not named here are ignored, as RFC 7515 §4 asks.
pub(crate) fn key_id<'h>(header: &'h Object<'_>) -> Result<&'h str, VerifyError> {
    if let Some(name) = FORBIDDEN.into_iter().find(|name| header.get(name).is_some()) {
        return Err(VerifyError::ForbiddenHeader(name));
    }
    if header.text("alg") != Some("RS256") {
        return Err(VerifyError::UnsupportedAlgorithm);
    }
    if !header.text("typ").is_some_and(is_access_token_type) {
        return Err(VerifyError::WrongType);
    }
    header.text("kid").filter(|kid| !kid.is_empty()).ok_or(VerifyError::Malformed)
}

/// RFC 9068 §4 allows both forms; media types ignore case (RFC 7515 §4.1.9).
fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}
