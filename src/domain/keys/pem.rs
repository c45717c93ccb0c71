//! Public keys as PEM, for programs that cannot read a JWK set.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::rsa::Rsa;
use serde_json::Value;

use crate::entity::signing_key::Model;

/// The public key as `SubjectPublicKeyInfo` (RFC 7468 §13), after a line with its `kid`: parsers
/// ignore text outside the block (§2).
///
/// # Errors
/// If the row contains no RSA key.
pub fn public_pem(key: &Model) -> Result<String, ErrorStack> {
    let jwk: Value = serde_json::from_str(&key.public_jwk).unwrap_or_default();
    let member = |name: &str| {
        let text = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        BigNum::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap_or_default())
    };
    let pem = Rsa::from_public_components(member("n")?, member("e")?)?.public_key_to_pem()?;
    Ok(format!("# {} ({})\n{}", key.kid, key.state.name(), String::from_utf8_lossy(&pem)))
}
