//! Cost parameters of new hashes.

use argon2::{Algorithm, Argon2, Params, Version};

use crate::config::PasswordSettings;

/// Bytes of tag per hash (RFC 9106 §4 recommends 32).
pub(super) const TAG_BYTES: usize = 32;

/// Argon2id cost parameters.
///
/// The default is the minimum that the OWASP Password Storage Cheat Sheet recommends: 19 MiB, two
/// passes, one lane. Each hashing thread computes one lane at a time, so more lanes do not make a
/// hash faster here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl From<&PasswordSettings> for Cost {
    /// The cost of new hashes by these settings.
    fn from(settings: &PasswordSettings) -> Self {
        Self {
            memory_kib: settings.argon2_memory_kib,
            iterations: settings.argon2_iterations,
            parallelism: 1,
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Cost {
    /// Argon2id, version 1.3, at this cost.
    pub(super) fn argon2id(self) -> Result<Argon2<'static>, argon2::Error> {
        let Self { memory_kib, iterations, parallelism } = self;
        let params = Params::new(memory_kib, iterations, parallelism, Some(TAG_BYTES))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}
