//! bcrypt of a SHA-256 digest of the password. The digest is shorter than bcrypt's limit of 72
//! bytes, so the whole password counts. These systems use it, in different notations:
//!
//! - Django: `bcrypt_sha256$$2b$12$…`, bcrypt of the digest in hexadecimal;
//! - passlib: `$bcrypt-sha256$v=2,t=2b,r=12$salt$tag`, bcrypt of an HMAC in Base64 whose key is the
//!   salt as text;
//! - passlib before 1.7.3: `$bcrypt-sha256$2b,12$salt$tag`, bcrypt of the digest in Base64.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::sign::Signer;
use zeroize::Zeroizing;

use crate::domain::password::failure::Failure;
use crate::domain::password::unreadable::Unreadable;
use crate::domain::password::workspace::Workspace;

/// The start of Django's notation. A bcrypt string follows.
const DJANGO: &str = "bcrypt_sha256$";

/// The start of passlib's notations.
const PASSLIB: &str = "$bcrypt-sha256$";

/// What bcrypt hashes instead of the password.
#[derive(Clone, Copy)]
enum Prehash {
    /// The digest in hexadecimal.
    Hexadecimal,
    /// The digest in Base64.
    Base64,
    /// HMAC-SHA-256 in Base64. The key is the salt of the bcrypt string, as text.
    KeyedBase64,
}

/// A parsed hash. The cost of its bcrypt string has not been checked.
#[derive(Clone)]
pub(super) struct BcryptSha256Hash {
    prehash: Prehash,
    /// The bcrypt string.
    bcrypt: String,
}

impl BcryptSha256Hash {
    /// Whether a hash has one of the notations.
    pub(super) fn is_notation_of(text: &str) -> bool {
        text.starts_with(DJANGO) || text.starts_with(PASSLIB)
    }

    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        if let Some(bcrypt) = text.strip_prefix(DJANGO) {
            return Ok(Self { prehash: Prehash::Hexadecimal, bcrypt: bcrypt.to_owned() });
        }
        let text = text.strip_prefix(PASSLIB).ok_or(Unreadable::UnknownKind)?;
        let parts: Vec<&str> = text.split('$').collect();
        let [parameters, salt, tag] = parts[..] else { return Err(Unreadable::Malformed) };
        let parameters: Vec<&str> = parameters.split(',').collect();
        let (prehash, variant, cost) = match parameters[..] {
            ["v=2", "t=2b", cost] => {
                (Prehash::KeyedBase64, "2b", cost.strip_prefix("r=").unwrap_or_default())
            }
            [variant @ ("2a" | "2b"), cost] => (Prehash::Base64, variant, cost),
            _ => return Err(Unreadable::Malformed),
        };
        let cost: u32 = cost.parse().map_err(|_| Unreadable::Malformed)?;
        Ok(Self { prehash, bcrypt: format!("${variant}${cost:02}${salt}{tag}") })
    }

    /// The bcrypt string.
    pub(super) fn bcrypt(&self) -> &str {
        &self.bcrypt
    }

    pub(super) fn matches(&self, password: &[u8], workspace: &Workspace) -> Result<bool, Failure> {
        let text = self.prehash(password).map_err(Failure::OpenSsl)?;
        workspace.bcrypt(text.as_bytes(), &self.bcrypt)
    }

    fn prehash(&self, password: &[u8]) -> Result<Zeroizing<String>, ErrorStack> {
        Ok(Zeroizing::new(match self.prehash {
            Prehash::Hexadecimal => {
                sha256(password).iter().fold(String::with_capacity(64), |mut text, byte| {
                    // Writing to a string does not fail.
                    let _ = write!(text, "{byte:02x}");
                    text
                })
            }
            Prehash::Base64 => STANDARD.encode(sha256(password)),
            Prehash::KeyedBase64 => {
                let key = PKey::hmac(self.salt().as_bytes())?;
                let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
                STANDARD.encode(signer.sign_oneshot_to_vec(password)?)
            }
        }))
    }

    /// The salt of the bcrypt string: 22 characters after `$2b$12$`.
    fn salt(&self) -> &str {
        self.bcrypt.get(7..29).unwrap_or_default()
    }
}
