//! Encryption of authorization requests carried by a browser: AES-256-GCM (NIST SP 800-38D), bound
//! to that browser.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use crate::domain::keys::derived::derive;

/// Prefix of encrypted requests. The full stop is not a base64url character, so no other value in a
/// page begins with it.
const PREFIX: &str = "v1.";

/// Bytes of the random initialization vector.
const IV: usize = 12;

/// Bytes of the authentication tag.
const TAG: usize = 16;

/// Encrypts with the current key; decrypts with any.
pub struct RequestSealer {
    keys: Vec<[u8; 32]>,
}

impl RequestSealer {
    pub(super) fn new(keys: Vec<[u8; 32]>) -> Self {
        Self { keys }
    }

    /// Encrypts and authenticates `content` for the browser whose cookie has this digest.
    ///
    /// # Errors
    /// If OpenSSL fails, or the operating system gives no random bytes.
    pub fn seal(&self, content: &[u8], browser_digest: &[u8]) -> Result<String, ErrorStack> {
        let key = self.keys.first().ok_or_else(ErrorStack::get)?;
        let key = key_of_browser(key, browser_digest)?;
        let (mut iv, mut tag) = ([0; IV], [0; TAG]);
        openssl::rand::rand_bytes(&mut iv)?;
        let cipher = Cipher::aes_256_gcm();
        let sealed = encrypt_aead(cipher, &key, Some(&iv), browser_digest, content, &mut tag)?;
        let bytes = [&iv[..], &sealed, &tag].concat();
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The content; `None` if it was encrypted for another browser or with a key that is not in the
    /// file, or has been altered.
    #[must_use]
    pub fn open(&self, text: &str, browser_digest: &[u8]) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (iv, rest) = bytes.split_first_chunk::<IV>()?;
        let (sealed, tag) = rest.split_last_chunk::<TAG>()?;
        self.keys.iter().find_map(|key| {
            let key = key_of_browser(key, browser_digest).ok()?;
            decrypt_aead(Cipher::aes_256_gcm(), &key, Some(iv), browser_digest, sealed, tag).ok()
        })
    }
}

/// Whether a text has the prefix of encrypted requests; only opening it verifies that it is one.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Derives a key per browser: anyone can have any number of requests encrypted, and one key with
/// random initialization vectors is limited to 2^32 messages (SP 800-38D §8.3).
fn key_of_browser(key: &[u8], browser_digest: &[u8]) -> Result<[u8; 32], ErrorStack> {
    derive(key, &format!("browser {}", URL_SAFE_NO_PAD.encode(browser_digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &[u8] = &[7; 32];
    const THEIRS: &[u8] = &[8; 32];

    #[test]
    fn sealed_request_opens_with_its_key_in_its_browser_only() {
        let old = RequestSealer::new(vec![[1; 32]]);
        let rotated = RequestSealer::new(vec![[2; 32], [1; 32]]);
        let stranger = RequestSealer::new(vec![[3; 32]]);

        let sealed = old.seal(b"content", MINE).unwrap();

        assert!(is_sealed(&sealed));
        assert_ne!(old.seal(b"content", MINE).unwrap(), sealed);
        assert_eq!(old.open(&sealed, MINE).as_deref(), Some(&b"content"[..]));
        assert_eq!(rotated.open(&sealed, MINE).as_deref(), Some(&b"content"[..]));
        assert_eq!(old.open(&rotated.seal(b"", MINE).unwrap(), MINE), None);
        assert_eq!(stranger.open(&sealed, MINE), None);
        assert_eq!(old.open(&sealed, THEIRS), None);
    }

    /// A change of any bit is detected, and no part may be missing.
    #[test]
    fn altered_request_does_not_open() {
        let keys = RequestSealer::new(vec![[1; 32]]);
        let text = keys.seal(b"content", MINE).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text[PREFIX.len()..]).unwrap();

        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let altered = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(altered));
            assert_eq!(keys.open(&altered, MINE), None, "bit {bit}");
        }
        for length in 0..text.len() {
            assert_eq!(keys.open(&text[..length], MINE), None, "length {length}");
        }
        assert_eq!(keys.open(&format!("{text}A"), MINE), None);
    }
}
