//! Keys derived from the master key, one per purpose.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::pkey::{Id, PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::sign::Signer;

/// HKDF-SHA-256 (RFC 5869) of `secret` for `purpose`: 32 bytes, independent of the bytes for other
/// purposes.
pub(super) fn derive(secret: &[u8], purpose: &str) -> Result<[u8; 32], ErrorStack> {
    let mut key = [0; 32];
    let mut hkdf = PkeyCtx::new_id(Id::HKDF)?;
    hkdf.derive_init()?;
    hkdf.set_hkdf_md(Md::sha256())?;
    hkdf.set_hkdf_key(secret)?;
    hkdf.add_hkdf_info(purpose.as_bytes())?;
    hkdf.derive(Some(&mut key))?;
    Ok(key)
}

/// A key for HMAC-SHA-256 (RFC 2104).
pub struct MacKey(PKey<Private>);

impl MacKey {
    /// A key that consists of these bytes.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, ErrorStack> {
        Ok(Self(PKey::hmac(bytes)?))
    }

    /// The 32-byte message authentication code of `message`.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn mac(&self, message: &[u8]) -> Result<[u8; 32], ErrorStack> {
        let mut code = [0; 32];
        Signer::new(MessageDigest::sha256(), &self.0)?.sign_oneshot(&mut code, message)?;
        Ok(code)
    }

    /// Verifies `code` in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], code: &[u8]) -> bool {
        self.mac(message)
            .is_ok_and(|valid| valid.len() == code.len() && openssl::memcmp::eq(&valid, code))
    }
}

/// The MAC key that computes the digest of an attempt key. The digest is the primary key of the
/// attempt table. So the table contains no plain IP or email address.
pub struct LimitKey(MacKey);

impl LimitKey {
    pub(super) fn new(key: MacKey) -> Self {
        Self(key)
    }

    /// The HMAC of `parts`, encoded unambiguously: different lists of parts give different
    /// messages.
    #[must_use]
    pub fn mac(&self, parts: &[&str]) -> Vec<u8> {
        let mut message = Vec::new();
        for part in parts {
            message.extend_from_slice(&part.len().to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        // If the HMAC fails, all attempts share the empty primary key, so the limits fail closed.
        self.0.mac(&message).map(Vec::from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869 §A.3: no salt and no info. The expected value is the first 32 bytes of the output.
    #[test]
    fn hkdf_agrees_with_rfc_5869() {
        let expected = [
            0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80, 0x2a, 0x06, 0x3c,
            0x5a, 0x31, 0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1, 0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f,
            0x3c, 0x73, 0x8d, 0x2d,
        ];

        assert_eq!(derive(&[0x0b; 22], "").unwrap(), expected);
        assert_ne!(derive(&[0x0b; 22], "another purpose").unwrap(), expected);
    }
}
