//! Encryption of authorization requests that a browser carries: AES-256-GCM (NIST SP 800-38D),
//! bound to this browser.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use crate::domain::keys::derived::derive;

/// Prefix of encrypted requests. The full stop is not a base64url character, so no other value in a
/// page begins with it.
const PREFIX: &str = "v1.";

/// Length of the random initialization vector, in bytes.
const IV_BYTES: usize = 12;

/// Length of the authentication tag, in bytes.
const TAG_BYTES: usize = 16;

/// Encrypts with the current key, and decrypts with any key.
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
        let (mut iv, mut tag) = ([0; IV_BYTES], [0; TAG_BYTES]);
        openssl::rand::rand_bytes(&mut iv)?;
        let cipher = Cipher::aes_256_gcm();
        let sealed = encrypt_aead(cipher, &key, Some(&iv), browser_digest, content, &mut tag)?;
        let bytes = [&iv[..], &sealed, &tag].concat();
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The content. `None` if it was encrypted for another browser, or with a key that is not in
    /// the key file, or if the text has been altered.
    #[must_use]
    pub fn open(&self, text: &str, browser_digest: &[u8]) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (iv, rest) = bytes.split_first_chunk::<IV_BYTES>()?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        self.keys.iter().find_map(|key| {
            let key = key_of_browser(key, browser_digest).ok()?;
            decrypt_aead(Cipher::aes_256_gcm(), &key, Some(iv), browser_digest, sealed, tag).ok()
        })
    }
}

/// Whether a text has the prefix of encrypted requests. Only [`RequestSealer::open`] verifies the
/// rest of the text.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Derives a separate key for each browser. A key with random initialization vectors may encrypt at
/// most 2^32 messages (SP 800-38D §8.3), and anyone can have any number of requests encrypted.
fn key_of_browser(key: &[u8], browser_digest: &[u8]) -> Result<[u8; 32], ErrorStack> {
    derive(key, &format!("browser {}", URL_SAFE_NO_PAD.encode(browser_digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &[u8] = &[7; 32];
    const OTHER_BROWSER: &[u8] = &[8; 32];

    #[test]
    fn sealed_request_opens_only_with_its_key_and_in_its_browser() {
        let old = RequestSealer::new(vec![[1; 32]]);
        let rotated = RequestSealer::new(vec![[2; 32], [1; 32]]);
        let unrelated = RequestSealer::new(vec![[3; 32]]);

        let sealed = old.seal(b"content", BROWSER).unwrap();

        assert!(is_sealed(&sealed));
        assert_ne!(old.seal(b"content", BROWSER).unwrap(), sealed);
        assert_eq!(old.open(&sealed, BROWSER).as_deref(), Some(&b"content"[..]));
        assert_eq!(rotated.open(&sealed, BROWSER).as_deref(), Some(&b"content"[..]));
        assert_eq!(old.open(&rotated.seal(b"", BROWSER).unwrap(), BROWSER), None);
        assert_eq!(unrelated.open(&sealed, BROWSER), None);
        assert_eq!(old.open(&sealed, OTHER_BROWSER), None);
    }

    /// A change of any bit is detected, and so is a missing part.
    #[test]
    fn altered_request_does_not_open() {
        let keys = RequestSealer::new(vec![[1; 32]]);
        let text = keys.seal(b"content", BROWSER).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text[PREFIX.len()..]).unwrap();

        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let altered = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(altered));
            assert_eq!(keys.open(&altered, BROWSER), None, "bit {bit}");
        }
        for length in 0..text.len() {
            assert_eq!(keys.open(&text[..length], BROWSER), None, "length {length}");
        }
        assert_eq!(keys.open(&format!("{text}A"), BROWSER), None);
    }
}
