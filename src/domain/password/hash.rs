//! How a new password is hashed.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::domain::password::class::Class;
use crate::domain::password::typed::Password;
use crate::domain::password::workspace::Workspace;

/// Random bytes of salt per hash (RFC 9106 §3.1 recommends 16).
pub(super) const SALT_BYTES: usize = 16;

/// Bytes of tag per hash (RFC 9106 §4 recommends 32).
pub(super) const TAG_BYTES: usize = 32;

/// What one hash costs whoever computes it, guessers included.
///
/// The default is the smallest memory setting of the OWASP Password Storage Cheat Sheet:
/// 19 MiB, two passes, one lane. Signet's threads compute one lane at a time, so more lanes make
/// a hash no faster here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Cost {
    /// The class of new hashes at this cost.
    pub(super) fn class(self) -> Class {
        Class::Argon2 { algorithm: Algorithm::Argon2id, version: Version::V0x13, cost: self }
    }

    /// Argon2id, version 1.3, at this cost.
    pub(super) fn argon2id(self) -> Result<Argon2<'static>, argon2::Error> {
        let Self { memory_kib, iterations, parallelism } = self;
        let params = Params::new(memory_kib, iterations, parallelism, Some(TAG_BYTES))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Why a hash could not be computed; none of it is the caller's doing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The system's random generator failed.
    #[error("no random bytes")]
    Random(#[from] openssl::error::ErrorStack),
    /// The memory for the hash could not be reserved.
    #[error("no memory for the hash")]
    Memory(#[from] std::collections::TryReserveError),
    /// Argon2 refused its parameters.
    #[error("argon2")]
    Argon2(#[from] argon2::Error),
    /// The result could not be written as a PHC string.
    #[error("PHC string")]
    Phc(#[from] argon2::password_hash::phc::Error),
    /// The cost could not be written as PHC parameters.
    #[error("PHC parameters")]
    Params(#[from] argon2::password_hash::Error),
    /// bcrypt refused a hash that had been read before.
    #[error("bcrypt")]
    Bcrypt(#[from] bcrypt::BcryptError),
    /// The computation panicked; its thread lives on.
    #[error("the hashing job panicked")]
    Panicked,
    /// The threads ended before the job was run.
    #[error("the hashing threads have ended")]
    Stopped,
}

/// Hashes a new password under a fresh salt into a PHC string.
pub(super) fn hash(
    argon2: &Argon2<'_>,
    password: &Password,
    workspace: &mut Workspace,
) -> Result<String, Failure> {
    let mut salt = [0; SALT_BYTES];
    openssl::rand::rand_bytes(&mut salt)?;
    let mut tag = Zeroizing::new([0; TAG_BYTES]);
    workspace.argon2(argon2, password.as_bytes(), &salt, tag.as_mut())?;
    phc(argon2, &salt, tag.as_ref())
}

/// Writes an Argon2id hash as a PHC string.
fn phc(argon2: &Argon2<'_>, salt: &[u8], tag: &[u8]) -> Result<String, Failure> {
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(tag)?),
    }
    .to_string())
}
