//! Encryption of private keys at rest: a JWE (RFC 7516) of the JWK, with `A256GCMKW` and `A256GCM`
//! (RFC 7517 §7).

use josekit::JoseError;
use josekit::jwe::{self, A256GCMKW, JweHeader};

/// Encrypts with the current key, and decrypts with any key.
pub struct Sealer {
    keys: Vec<[u8; 32]>,
}

impl Sealer {
    pub(super) fn new(keys: Vec<[u8; 32]>) -> Self {
        Self { keys }
    }

    /// Encrypts `jwk`. Returns the compact serialization.
    ///
    /// # Errors
    /// If the library fails.
    pub fn seal(&self, jwk: &[u8]) -> Result<String, JoseError> {
        let mut header = JweHeader::new();
        header.set_content_encryption("A256GCM");
        header.set_content_type("jwk+json");
        let key = self.keys.first().map_or(&[][..], |key| key);
        jwe::serialize_compact(jwk, &header, &A256GCMKW.encrypter_from_bytes(key)?)
    }

    /// The decrypted JWK. `None` if it was encrypted with a key that is not in the key file, or if
    /// the text has been altered.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        self.keys.iter().find_map(|key| {
            let decrypter = A256GCMKW.decrypter_from_bytes(key).ok()?;
            let (jwk, _) = jwe::deserialize_compact(sealed, &decrypter).ok()?;
            Some(jwk)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_value_opens_only_with_its_key() {
        let old = Sealer::new(vec![[1; 32]]);
        let rotated = Sealer::new(vec![[2; 32], [1; 32]]);
        let unrelated = Sealer::new(vec![[3; 32]]);

        let sealed = old.seal(b"{}").unwrap();

        assert_eq!(old.open(&sealed).as_deref(), Some(&b"{}"[..]));
        assert_eq!(rotated.open(&sealed).as_deref(), Some(&b"{}"[..]));
        assert_eq!(unrelated.open(&sealed), None);
        assert_eq!(old.open(&sealed.replacen('.', "A.", 1)), None);
    }
}
