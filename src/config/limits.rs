//! Settings: how often somebody may try.

use clap::{Args, value_parser};

/// How often somebody may try.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Attempts per client address in any 60 s, on each endpoint that takes a password. Logins that
    /// succeed are not counted.
    #[arg(long, env = "SIGNET_ATTEMPTS_PER_MINUTE", default_value = "5",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub attempts_per_minute: u32,

    /// Sign-ups per client address in any 60 s. If it is not set: as `SIGNET_ATTEMPTS_PER_MINUTE`.
    #[arg(long, env = "SIGNET_SIGN_UPS_PER_MINUTE",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub sign_ups_per_minute: Option<u32>,

    /// Attempts at the password of one account in any 60 s, whatever addresses they come from, and
    /// whether or not they succeed.
    #[arg(long, env = "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE", default_value = "10",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub account_attempts_per_minute: u32,

    /// Refreshes per client address and minute, counted by each instance for itself; as many other
    /// changes by those who are logged in.
    #[arg(long, env = "SIGNET_REFRESHES_PER_MINUTE", default_value = "600",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub refreshes_per_minute: u32,

    /// Requests per minute of a client that has proved who it is (token and revocation endpoints
    /// together, and as many introspections), counted by each instance for itself.
    #[arg(long, env = "SIGNET_CLIENT_REQUESTS_PER_MINUTE", default_value = "60000",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub client_requests_per_minute: u32,

    /// Requests with an access token per client address and minute, counted by each instance for
    /// itself.
    #[arg(long, env = "SIGNET_REQUESTS_PER_MINUTE", default_value = "3000",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub requests_per_minute: u32,

    /// Length of the IPv6 prefix that counts as one client, in bits.
    #[arg(long, env = "SIGNET_IPV6_PREFIX", default_value = "64",
          value_parser = value_parser!(u8).range(48..=128))]
    pub ipv6_prefix: u8,
}

impl LimitSettings {
    /// Sign-ups per client address in any 60 s.
    #[must_use]
    pub fn sign_ups(&self) -> u32 {
        self.sign_ups_per_minute.unwrap_or(self.attempts_per_minute)
    }
}
