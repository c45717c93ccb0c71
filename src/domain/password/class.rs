//! Cost classes of password hashes: the parameters that determine their computation time.

use std::fmt;
use std::time::Duration;

use argon2::{Algorithm, Version};

use crate::domain::password::cost::Cost;

/// Initial estimate for Argon2, in nanoseconds per KiB and pass, until the first measurement. At
/// this rate, which is that of a slow core, the default cost takes 23 ms.
const ARGON2_NANOS_PER_KIB: u64 = 600;

/// Initial estimate for bcrypt, in nanoseconds per round of its key schedule, until the first
/// measurement. At this rate, cost 10 takes 82 ms.
const BCRYPT_NANOS_PER_ROUND: u64 = 80_000;

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
}

impl Class {
    /// The class of new hashes at this cost.
    pub(super) const fn of_new(cost: Cost) -> Self {
        Self::Argon2 { algorithm: Algorithm::Argon2id, version: Version::V0x13, cost }
    }

    /// Estimated time on one core before anything has been measured.
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
        }
    }
}
