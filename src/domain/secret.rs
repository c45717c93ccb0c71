//! Random secrets that are stored as digests: authorization codes, client secrets, cookies,
//! handles of pending authorizations, tokens of printed invites.
//!
//! Each secret has 256 random bits, so plain SHA-256 protects it as well as a slow hash would.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::sha::sha256;

/// A secret and its digest.
pub struct Secret {
    /// The secret, which is issued once.
    pub text: String,
    /// The digest, which is stored.
    pub digest: Vec<u8>,
}

impl Secret {
    /// Generates a secret. `prefix` identifies its kind to people and secret scanners.
    ///
    /// # Errors
    /// If the operating system returns no random bytes.
    pub fn generate(prefix: &str) -> Result<Self, ErrorStack> {
        let mut bytes = [0; 32];
        openssl::rand::rand_bytes(&mut bytes)?;
        let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
        let digest = digest(&text);
        Ok(Self { text, digest })
    }
}

/// The digest by which a secret is stored and looked up.
#[must_use]
pub fn digest(text: &str) -> Vec<u8> {
    sha256(text.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// MUST-078, CO-05: 256 bits, each set in about half of the secrets, and no secret repeats. By
    /// chance, a given bit is outside of the asserted range with a probability of 10^-10.
    #[test]
    fn secrets_are_uniform_and_independent() {
        let secrets: Vec<_> = (0..1_000).map(|_| Secret::generate("sgc_").unwrap().text).collect();

        assert_eq!(secrets.iter().collect::<HashSet<_>>().len(), 1_000);
        let mut counts = [0_u32; 256];
        for text in &secrets {
            let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix("sgc_").unwrap()).unwrap();
            assert_eq!(bytes.len(), 32);
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += u32::from(bytes[bit / 8] >> (bit % 8) & 1);
            }
        }
        assert!(counts.iter().all(|count| (400..=600).contains(count)), "{counts:?}");
    }
}
