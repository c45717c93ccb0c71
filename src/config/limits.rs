//! Settings: rate limits and attempt limits.

use clap::{Args, value_parser};

/// Rate limits and attempt limits.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Attempts per client address in any 60 s, separately for logins, re-authentications, password
    /// resets, confirmations of an address, and requests for mails. Successful logins and
    /// re-authentications are not counted.
    #[arg(long, env = "SIGNET_ATTEMPTS_PER_MINUTE", default_value = "5",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub attempts_per_minute: u32,

    /// Sign-ups per client address in any 60 s. Default: `SIGNET_ATTEMPTS_PER_MINUTE`.
    #[arg(long, env = "SIGNET_SIGN_UPS_PER_MINUTE",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub sign_ups_per_minute: Option<u32>,

    /// Password attempts per account in any 60 s, from all client addresses, successful or not.
    #[arg(long, env = "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE", default_value = "10",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub account_attempts_per_minute: u32,

    /// Refreshes, authorization requests, and requests of public clients per client address and
    /// minute, counted per instance. Logouts and other changes by logged-in users have a separate
    /// limit of the same size.
    #[arg(long, env = "SIGNET_REFRESHES_PER_MINUTE", default_value = "600",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub refreshes_per_minute: u32,

    /// Requests per authenticated OAuth client and minute, counted per instance: one limit for the
    /// token and revocation endpoints together, and another of the same size for introspection.
    #[arg(long, env = "SIGNET_CLIENT_REQUESTS_PER_MINUTE", default_value = "60000",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub client_requests_per_minute: u32,

    /// Requests with an access token per client address and minute, counted per instance.
    #[arg(long, env = "SIGNET_REQUESTS_PER_MINUTE", default_value = "3000",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub requests_per_minute: u32,

    /// Length of the IPv6 prefix that counts as one client address, in bits.
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
