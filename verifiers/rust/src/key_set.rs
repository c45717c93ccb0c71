//! The issuer's public keys, parsed once and found by `kid`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jws::JwsVerifier;
use josekit::jws::RS256;
use josekit::jws::alg::rsassa::RsassaJwsVerifier;

use crate::error::KeySetError;
use crate::json::Json;
use crate::json::Object;

/// Largest key set that is parsed, in bytes. Signet's key sets have a few thousand bytes.
pub(crate) const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The minimum is that of RFC 7518 §3.3. With the maximum, a signature check takes less than 1 ms.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The only accepted exponent: 65537, which all keys of Signet have. With `e` = 1, for example,
/// every signature could be forged.
const EXPONENT: &str = "AQAB";

/// The usable keys of a JWK set (RFC 7517 §5), each under its `kid`.
///
/// Clones share the keys. The set is immutable: replace it as a whole.
#[derive(Clone, Default)]
pub struct KeySet(Arc<BTreeMap<String, PublicKey>>);

impl KeySet {
    /// Parses the document of `/.well-known/jwks.json`.
    ///
    /// A key is usable if it has a `kid`, `kty` is `RSA`, `alg` is absent or `RS256`, `use` is
    /// absent or `sig`, `key_ops` is absent or lists `verify`, the modulus has 2048 to 8192 bits
    /// and the exponent is 65537. Other keys are ignored, so that the issuer may add kinds of keys
    /// that this crate does not support. So a set may be empty. Private members are never copied.
    ///
    /// # Errors
    /// [`KeySetError`]: the document is not a key set, or two usable keys share a `kid`.
    pub fn from_json(jwks: &[u8]) -> Result<Self, KeySetError> {
        if jwks.len() > MAX_JWKS_BYTES {
            return Err(KeySetError::Malformed);
        }
        let set = Object::parse(jwks).ok_or(KeySetError::Malformed)?;
        let Some(Json::List(entries)) = set.get("keys") else {
            return Err(KeySetError::Malformed);
        };
        let mut keys = BTreeMap::new();
        for (kid, key) in entries.iter().filter_map(usable_key) {
            if keys.insert(kid.to_owned(), key).is_some() {
                return Err(KeySetError::DuplicateKeyId);
            }
        }
        Ok(Self(Arc::new(keys)))
    }

    /// The `kid` of every usable key, in byte order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The number of usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no usable key, so that every token is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn key(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySet ")?;
        f.debug_set().entries(self.key_ids()).finish()
    }
}

/// An RSA key that only verifies RS256.
pub(crate) struct PublicKey(RsassaJwsVerifier);

impl PublicKey {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    pub(crate) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.0.verify(signed, signature).is_ok()
    }
}

fn usable_key<'j>(entry: &'j Json<'_>) -> Option<(&'j str, PublicKey)> {
    let Json::Object(jwk) = entry else { return None };
    let kid = jwk.text("kid").filter(|kid| !kid.is_empty())?;
    if jwk.text("kty") != Some("RSA") || !is_for_rs256(jwk) {
        return None;
    }
    let modulus = jwk.text("n").filter(|n| has_fitting_length(n))?;
    if jwk.text("e") != Some(EXPONENT) {
        return None;
    }
    // Built from these two members only, so no private member is included.
    let mut public = Jwk::new("RSA");
    public.set_parameter("n", Some(modulus.into())).ok()?;
    public.set_parameter("e", Some(EXPONENT.into())).ok()?;
    RS256.verifier_from_jwk(&public).ok().map(|verifier| (kid, PublicKey(verifier)))
}

fn is_for_rs256(jwk: &Object<'_>) -> bool {
    let absent_or = |name, wanted| match jwk.get(name) {
        None => true,
        Some(value) => value.as_text() == Some(wanted),
    };
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(Json::List(operations)) => operations.iter().any(|o| o.as_text() == Some("verify")),
        Some(_) => false,
    };
    verifies && absent_or("alg", "RS256") && absent_or("use", "sig")
}

/// Whether a modulus has a supported number of bits, in the shortest encoding (RFC 7518 §2).
fn has_fitting_length(modulus: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(modulus) else { return false };
    let Some(first) = bytes.first().filter(|first| **first != 0) else { return false };
    let unused_bits = first.leading_zeros() as usize;
    MODULUS_BITS.contains(&(bytes.len() * 8 - unused_bits))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use crate::key_set::KeySet;

    /// The public modulus of RFC 7515 §A.2.1.
    const MODULUS: &str = "\
        ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz\
        P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf6\
        3kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw\
        Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW\
        yuXpoQ";

    /// The signing input of RFC 7515 §A.2.1.
    const SIGNED: &str = "\
        eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF\
        tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    /// The signature of RFC 7515 §A.2.1.
    const SIGNATURE: &str = "\
        cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt\
        _O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArL\
        IARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7no\
        OPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ\
        Ge77Rw";

    /// RFC 7515 §A.2. The header of the example has no `typ`, so only the signature is checked.
    #[test]
    fn rs256_example_of_rfc_7515_verifies_unless_altered() {
        let jwk = format!(r#"{{"kty":"RSA","kid":"A.2","e":"AQAB","n":"{MODULUS}"}}"#);
        let keys = KeySet::from_json(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).unwrap();
        let key = keys.key("A.2").unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap();

        assert!(key.verifies(SIGNED.as_bytes(), &signature));
        assert!(!key.verifies(&SIGNED.as_bytes()[1..], &signature));
        assert!(!key.verifies(SIGNED.as_bytes(), &signature[1..]));
        assert!(!key.verifies(SIGNED.as_bytes(), &[]));
        signature[100] ^= 1;
        assert!(!key.verifies(SIGNED.as_bytes(), &signature));
    }
}
