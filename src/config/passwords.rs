//! Settings: the password policy, and the cost of password hashing.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

/// The password policy, and the cost of password hashing.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Passwords")]
pub struct PasswordSettings {
    /// The rules for new passwords. `compat`: 8 to 128 characters with an upper-case letter, a
    /// lower-case letter and a digit. `nist`: 15 to 128 characters of any kind (NIST SP 800-63B-4).
    /// Both refuse common passwords, and passwords made of the email address or the service name.
    /// `original`: like `compat`, but without these two checks; only to test clients of the original
    /// application; each start logs a warning.
    #[arg(long, env = "SIGNET_PASSWORD_POLICY", default_value = "compat")]
    pub password_policy: PasswordPolicy,

    /// Memory per Argon2id hash, in KiB.
    #[arg(long, env = "SIGNET_ARGON2_MEMORY_KIB", default_value = "19456",
          value_parser = value_parser!(u32).range(19_456..=1_048_576))]
    pub argon2_memory_kib: u32,

    /// Iterations (passes over the memory) per Argon2id hash.
    #[arg(long, env = "SIGNET_ARGON2_ITERATIONS", default_value = "2",
          value_parser = value_parser!(u32).range(2..=16))]
    pub argon2_iterations: u32,

    /// Password hashes computed concurrently, each with its own memory; 0 = one per core.
    #[arg(long, env = "SIGNET_HASH_THREADS", default_value = "0",
          value_parser = value_parser!(u32).range(0..=256))]
    pub hash_threads: u32,

    /// Maximum backlog of admitted password hashes: the seconds that all hash threads together need
    /// to compute them, by the last measurements. Requests that arrive while it is exceeded get
    /// 503, and their passwords are not hashed. If several client addresses have hashes in the
    /// queue, an address that uses more than its equal share gets 503 as soon as half of the
    /// backlog is used, and addresses with few hashes can use a reserve of another quarter.
    #[arg(long, env = "SIGNET_HASH_BACKLOG_SECONDS", default_value = "20",
          value_parser = value_parser!(u64).range(1..=300))]
    pub hash_backlog_seconds: u64,
}

impl PasswordSettings {
    /// Maximum backlog of admitted password hashes, as time to compute them.
    #[must_use]
    pub fn hash_backlog(&self) -> Duration {
        Duration::from_secs(self.hash_backlog_seconds)
    }

    /// Estimated maximum time that a request waits for its hash, plus two seconds for the hash
    /// itself and the commit.
    #[must_use]
    pub fn estimated_max_hash_wait(&self) -> Duration {
        self.hash_backlog() * 5 / 4 + Duration::from_secs(2)
    }
}

/// The rules for new passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PasswordPolicy {
    // NIST and OWASP ASVS (6.2.5) advise against composition rules, so this policy does not claim
    // to meet either.
    /// The original application's rule. Common passwords, and passwords made of the email address
    /// or the service name, are refused, too.
    Compat,
    /// NIST SP 800-63B-4 §3.1.1.2.
    Nist,
    /// The original application's rule, without these two checks.
    Original,
}
