//! PBKDF2 hashes (RFC 8018 §5.2) of other systems, as PHC strings:
//! `$pbkdf2-sha256$i=600000$salt$tag`.

use zeroize::Zeroizing;

use crate::domain::password::digest::Digest;
use crate::domain::password::failure::Failure;
use crate::domain::password::phc::{Phc, encode};
use crate::domain::password::unreadable::Unreadable;
use crate::domain::password::workspace::Workspace;

/// Largest product of the rounds and the blocks of output, about a second and a half on one core.
/// The largest of Keycloak's defaults is that for SHA-1: 1,300,000 rounds for each of 4 blocks.
const MAX_COST: u64 = 6_000_000;

/// A parsed PBKDF2 hash within bounds.
#[derive(Clone)]
pub(super) struct Pbkdf2Hash {
    digest: Digest,
    rounds: u32,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl Pbkdf2Hash {
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        let phc = Phc::parse(text)?;
        let name = phc.function.strip_prefix("pbkdf2-").ok_or(Unreadable::UnknownKind)?;
        let digest = Digest::ALL.into_iter().find(|digest| digest.name() == name);
        let digest = digest.ok_or(Unreadable::UnknownKind)?;
        let hash = Self { digest, rounds: phc.number("i")?, salt: phc.salt, tag: phc.tag };
        let (_, rounds, blocks) = hash.cost();
        if u64::from(rounds) * u64::from(blocks) > MAX_COST {
            return Err(Unreadable::TooCostly);
        }
        Ok(hash)
    }

    /// The PHC string with these parts.
    pub(super) fn phc(digest: Digest, rounds: &str, salt: &[u8], tag: &[u8]) -> String {
        format!("$pbkdf2-{}$i={rounds}${}${}", digest.name(), encode(salt), encode(tag))
    }

    /// A hash with a random tag.
    pub(super) fn decoy(
        digest: Digest,
        rounds: u32,
        blocks: u32,
        salt: Vec<u8>,
    ) -> Result<Self, Failure> {
        let length = usize::try_from(blocks).unwrap_or(1).saturating_mul(digest.bytes()).min(64);
        let mut tag = vec![0; length];
        openssl::rand::rand_bytes(&mut tag)?;
        Ok(Self { digest, rounds, salt, tag })
    }

    /// The hash function, the rounds of each block, and the number of blocks.
    pub(super) fn cost(&self) -> (Digest, u32, u32) {
        let blocks = self.tag.len().div_ceil(self.digest.bytes());
        (self.digest, self.rounds, u32::try_from(blocks).unwrap_or(u32::MAX))
    }

    pub(super) fn matches(&self, password: &[u8], workspace: &Workspace) -> Result<bool, Failure> {
        let mut computed = Zeroizing::new(vec![0; self.tag.len()]);
        workspace.pbkdf2(self.digest, self.rounds, password, &self.salt, &mut computed)?;
        // `memcmp::eq` panics on different lengths. These lengths are equal by construction.
        Ok(openssl::memcmp::eq(&computed, &self.tag))
    }
}
