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
