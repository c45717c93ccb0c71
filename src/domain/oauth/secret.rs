//! Secrets that are drawn and stored as digests: codes, client secrets, cookies, handles.
//!
//! 256 random bits each, so that a plain SHA-256 keeps them as well as any slow hash would.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::sha::sha256;

/// A secret and what is stored of it.
pub struct Opaque {
    /// What its holder gets, once.
    pub text: String,
    /// What the table gets.
    pub digest: Vec<u8>,
}

impl Opaque {
    /// Draws one. `prefix` says what kind it is, to people and to secret scanners.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn draw(prefix: &str) -> Result<Self, ErrorStack> {
        let mut bytes = [0; 32];
        openssl::rand::rand_bytes(&mut bytes)?;
        let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
        let digest = digest(&text);
        Ok(Self { text, digest })
    }
}

/// What is stored of a secret, and what it is found by.
#[must_use]
pub fn digest(text: &str) -> Vec<u8> {
    sha256(text.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// MUST-078, CO-05: 256 bits of which each is as often set as not, and nothing of what was drawn
    /// before. (By chance, one bit of a thousand draws is off by that much once in 10^10.)
    #[test]
    fn what_is_drawn_has_neither_structure_nor_memory() {
        let drawn: Vec<_> = (0..1_000).map(|_| Opaque::draw("sgc_").unwrap().text).collect();

        assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 1_000);
        let mut set = [0_u32; 256];
        for text in &drawn {
            let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix("sgc_").unwrap()).unwrap();
            assert_eq!(bytes.len(), 32);
            for (bit, count) in set.iter_mut().enumerate() {
                *count += u32::from(bytes[bit / 8] >> (bit % 8) & 1);
            }
        }
        assert!(set.iter().all(|count| (400..=600).contains(count)), "{set:?}");
    }
}
