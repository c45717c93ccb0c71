//! Hash classes: the parameters of password hashes that determine their computation time.

use std::fmt;
use std::time::Duration;

use argon2::{Algorithm, Version};

use crate::domain::password::cost::Cost;
use crate::domain::password::digest::Digest;

/// Initial estimate for Argon2, in nanoseconds per KiB and pass, until the first measurement. At
/// this rate, the rate of a slow core, the default cost takes 23 ms.
const ARGON2_NANOS_PER_KIB: u64 = 600;

/// Initial estimate for bcrypt, in nanoseconds per round of its key schedule, until the first
/// measurement. At this rate, cost 10 takes 82 ms.
const BCRYPT_NANOS_PER_ROUND: u64 = 80_000;

/// Initial estimate for PBKDF2, in nanoseconds per round and block of output, until the first
/// measurement. At this rate, 600,000 rounds take 240 ms.
const PBKDF2_NANOS_PER_ROUND: u64 = 400;

/// Initial estimate for scrypt, in nanoseconds per 128 bytes of memory, until the first
/// measurement. At this rate, 16 MiB take 52 ms.
const SCRYPT_NANOS_PER_UNIT: u64 = 400;

/// Everything in a stored hash except salt and tag. Hashes of one class take the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Argon2 of any kind.
    Argon2 {
        /// `argon2d`, `argon2i` or `argon2id`.
        algorithm: Algorithm,
        /// Version 16 or 19.
        version: Version,
        /// Memory, passes and lanes.
        cost: Cost,
    },
    /// bcrypt.
    Bcrypt {
        /// The binary logarithm of the number of rounds.
        cost: u32,
    },
    /// PBKDF2 with HMAC (RFC 8018 §5.2).
    Pbkdf2 {
        /// The hash function of the HMAC.
        digest: Digest,
        /// Iterations of each block.
        rounds: u32,
        /// Blocks of output, which are computed one after the other.
        blocks: u32,
    },
    /// scrypt (RFC 7914), also as Firebase uses it.
    Scrypt {
        /// The binary logarithm of the cost parameter N.
        log_n: u8,
        /// The block size r.
        block_size: u32,
        /// The parallelization p; the lanes are computed one after the other.
        parallelism: u32,
    },
}

impl Class {
    /// The class of new hashes at this cost.
    pub(super) const fn of_new(cost: Cost) -> Self {
        Self::Argon2 { algorithm: Algorithm::Argon2id, version: Version::V0x13, cost }
    }

    /// The nominal time of a hash: the estimate for one core before anything has been measured.
    pub(super) fn nominal(self) -> Duration {
        match self {
            Self::Argon2 { cost, .. } => {
                let passes = u64::from(cost.memory_kib) * u64::from(cost.iterations);
                Duration::from_nanos(passes.saturating_mul(ARGON2_NANOS_PER_KIB).max(1))
            }
            Self::Bcrypt { cost } => {
                let rounds = 1_u64.checked_shl(cost).unwrap_or(u64::MAX);
                Duration::from_nanos(rounds.saturating_mul(BCRYPT_NANOS_PER_ROUND))
            }
            Self::Pbkdf2 { rounds, blocks, .. } => {
                let rounds = u64::from(rounds).saturating_mul(u64::from(blocks));
                Duration::from_nanos(rounds.saturating_mul(PBKDF2_NANOS_PER_ROUND).max(1))
            }
            Self::Scrypt { log_n, block_size, parallelism } => {
                let units = 1_u64.checked_shl(log_n.into()).unwrap_or(u64::MAX);
                let units = units.saturating_mul(u64::from(block_size) * u64::from(parallelism));
                Duration::from_nanos(units.saturating_mul(SCRYPT_NANOS_PER_UNIT).max(1))
            }
        }
    }
}

/// The text is different for every class, because the choice of decoys depends on it.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2 { algorithm, version, cost } => write!(
                f,
                "{algorithm} v={} m={} t={} p={}",
                u32::from(*version),
                cost.memory_kib,
                cost.iterations,
                cost.parallelism
            ),
            Self::Bcrypt { cost } => write!(f, "bcrypt cost={cost}"),
            Self::Pbkdf2 { digest, rounds, blocks } => {
                write!(f, "pbkdf2-{} i={rounds} blocks={blocks}", digest.name())
            }
            Self::Scrypt { log_n, block_size, parallelism } => {
                write!(f, "scrypt ln={log_n} r={block_size} p={parallelism}")
            }
        }
    }
}
