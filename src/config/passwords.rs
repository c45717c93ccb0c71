//! Settings: which passwords are accepted, and what hashing them may cost.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

/// Which passwords are accepted, and what hashing them may cost.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Passwords")]
pub struct PasswordSettings {
    /// `compat`: 8 to 128 characters with an upper-case letter, a lower-case letter and a digit.
    /// `nist`: 15 to 128 characters of any kind (NIST SP 800-63B-4). Both refuse common passwords
    /// and the account's own words. `original`: as `compat`, and common passwords are taken: for tests
    /// of clients of the original application alone; each start logs a warning.
    #[arg(long, env = "SIGNET_PASSWORD_POLICY", default_value = "compat")]
    pub password_policy: PasswordPolicy,

    /// Memory of one Argon2id hash, in KiB.
    #[arg(long, env = "SIGNET_ARGON2_MEMORY_KIB", default_value = "19456",
          value_parser = value_parser!(u32).range(19_456..=1_048_576))]
    pub argon2_memory_kib: u32,

    /// Passes of one Argon2id hash over its memory.
    #[arg(long, env = "SIGNET_ARGON2_ITERATIONS", default_value = "2",
          value_parser = value_parser!(u32).range(2..=16))]
    pub argon2_iterations: u32,

    /// Password hashes computed at once, each with its memory; 0 = one per core.
    #[arg(long, env = "SIGNET_HASH_THREADS", default_value = "0",
          value_parser = value_parser!(u32).range(0..=256))]
    pub hash_threads: u32,

    /// Seconds that the password hashes which have been admitted may take, by what was measured last;
    /// past it, 503 before any work is done. A quarter more for clients that have little waiting.
    #[arg(long, env = "SIGNET_HASH_BACKLOG_SECONDS", default_value = "20",
          value_parser = value_parser!(u64).range(1..=300))]
    pub hash_backlog_seconds: u64,
}

impl PasswordSettings {
    /// How long the password hashes that have been admitted may take.
    #[must_use]
    pub fn hash_backlog(&self) -> Duration {
        Duration::from_secs(self.hash_backlog_seconds)
    }

    /// What a request may wait for its hash at most, as far as can be told, and two seconds for the
    /// hash itself and the commit.
    #[must_use]
    pub fn longest_hash_wait(&self) -> Duration {
        self.hash_backlog() * 5 / 4 + Duration::from_secs(2)
    }
}

/// The rule that new passwords must meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PasswordPolicy {
    /// The original application's rule, plus the blocklist.
    Compat,
    /// NIST SP 800-63B-4 §3.1.1.2.
    Nist,
    /// The original application's rule alone.
    Original,
}
