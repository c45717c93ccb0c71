//! Hashes of other systems: their notations, and the notation in which they are stored here.

use std::fmt;

use crate::domain::password::class::Class;
use crate::domain::password::digest::Digest;
use crate::domain::password::pbkdf2::Pbkdf2Hash;
use crate::domain::password::phc::decode;
use crate::domain::password::scrypt::ScryptHash;
use crate::domain::password::stored::Stored;
use crate::domain::password::unreadable::Unreadable;

/// Longest notation of a hash, in bytes.
const MAX_BYTES: usize = 1_024;

/// A password hash that another system computed, and that can be verified here.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignHash {
    text: String,
    class: Class,
}

impl ForeignHash {
    /// Reads a hash in one of these notations:
    ///
    /// - the notations that [`check_stored`](crate::domain::password::check_stored) accepts, which
    ///   include `bcrypt_sha256` of Django and passlib;
    /// - Django: `pbkdf2_sha256$rounds$salt$hash`, `pbkdf2_sha1$…`, `scrypt$N$salt$r$p$hash`,
    ///   `argon2$…` and `bcrypt$…`;
    /// - passlib: `$pbkdf2-sha256$rounds$salt$hash`, `$pbkdf2-sha512$…` and `$pbkdf2$…` (SHA-1).
    ///
    /// # Errors
    /// The reason why no password can be checked against the hash here.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        if text.len() > MAX_BYTES {
            return Err(Unreadable::Malformed);
        }
        let text = stored_notation(text)?;
        let class = Stored::parse(&text)?.class();
        Ok(Self { text, class })
    }

    /// The value of the column `password_hash`.
    #[must_use]
    pub fn as_stored(&self) -> &str {
        &self.text
    }

    /// The class of the hash.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }
}

/// Prints the class only.
impl fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignHash({})", self.class)
    }
}

/// Converts the notations of Django and passlib to the notation in which hashes are stored. Returns
/// any other text unchanged.
fn stored_notation(text: &str) -> Result<String, Unreadable> {
    let parts: Vec<&str> = text.split('$').collect();
    match parts[..] {
        // `argon2$argon2id$v=19$…` and `bcrypt$$2b$12$…`.
        ["argon2", ..] => Ok(text.strip_prefix("argon2").unwrap_or(text).to_owned()),
        ["bcrypt", ..] => Ok(text.strip_prefix("bcrypt$").unwrap_or(text).to_owned()),
        ["pbkdf2_sha256", rounds, salt, tag] => django_pbkdf2(Digest::Sha256, rounds, salt, tag),
        ["pbkdf2_sha1", rounds, salt, tag] => django_pbkdf2(Digest::Sha1, rounds, salt, tag),
        ["scrypt", n, salt, r, p, tag] => {
            let n: u32 = n.parse().map_err(|_| Unreadable::Malformed)?;
            if !n.is_power_of_two() {
                return Err(Unreadable::Malformed);
            }
            Ok(ScryptHash::phc(n.ilog2(), r, p, salt.as_bytes(), &decode(tag)?))
        }
        ["", "pbkdf2", rounds, salt, tag] => passlib_pbkdf2(Digest::Sha1, rounds, salt, tag),
        ["", "pbkdf2-sha256", rounds, salt, tag] if !rounds.starts_with("i=") => {
            passlib_pbkdf2(Digest::Sha256, rounds, salt, tag)
        }
        ["", "pbkdf2-sha512", rounds, salt, tag] if !rounds.starts_with("i=") => {
            passlib_pbkdf2(Digest::Sha512, rounds, salt, tag)
        }
        _ => Ok(text.to_owned()),
    }
}

/// Django uses the bytes of the salt's text, without decoding it.
fn django_pbkdf2(
    digest: Digest,
    rounds: &str,
    salt: &str,
    tag: &str,
) -> Result<String, Unreadable> {
    Ok(Pbkdf2Hash::phc(digest, rounds, salt.as_bytes(), &decode(tag)?))
}

/// passlib writes `.` for the `+` of Base64.
fn passlib_pbkdf2(
    digest: Digest,
    rounds: &str,
    salt: &str,
    tag: &str,
) -> Result<String, Unreadable> {
    let (salt, tag) = (salt.replace('.', "+"), tag.replace('.', "+"));
    Ok(Pbkdf2Hash::phc(digest, rounds, &decode(&salt)?, &decode(&tag)?))
}
