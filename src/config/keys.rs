//! Settings: what signs tokens, and how signing keys are replaced.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::config::parse::parse_rsa_bits;

/// What signs tokens, and what protects it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeySettings {
    /// File with the master key, which seals the signing keys in the database. Made at the first
    /// start, with mode 0600. Back it up apart from the database.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    pub master_key_file: PathBuf,

    /// Modulus length of new signing keys, in bits: 2048, 3072 or 4096.
    #[arg(long, env = "SIGNET_RSA_BITS", default_value = "2048", value_parser = parse_rsa_bits)]
    pub rsa_bits: u32,

    /// Seconds that services may cache the key set.
    #[arg(long, env = "SIGNET_JWKS_MAX_AGE_SECONDS", default_value = "300",
          value_parser = value_parser!(u64).range(1..=86_400))]
    pub jwks_max_age_seconds: u64,

    /// Seconds until a signing key is replaced by a new one; 0 = only by `signet keys rotate`.
    #[arg(long, env = "SIGNET_KEY_ROTATION_SECONDS", default_value = "2592000")]
    pub key_rotation_seconds: u64,

    /// Seconds between two looks at the keys in the database. An instance that could not look for
    /// three times as long stops signing, with 503.
    #[arg(long, env = "SIGNET_KEY_RELOAD_SECONDS", default_value = "5",
          value_parser = value_parser!(u64).range(1..=3600))]
    pub key_reload_seconds: u64,

    /// Seconds by which the clocks of instances and services may differ.
    #[arg(long, env = "SIGNET_CLOCK_SKEW_SECONDS", default_value = "30",
          value_parser = value_parser!(u64).range(0..=600))]
    pub clock_skew_seconds: u64,

    /// Seconds that a new key is published before it signs. 1200 if unset, since libraries keep a key
    /// set for up to a quarter of an hour whatever it says of itself, or the least that is safe if that
    /// is more: the cache time of the key set, three reloads, and twice the clock skew; at least 30 s
    /// and the skew, for which libraries do not fetch again. Less than the least is refused.
    #[arg(long, env = "SIGNET_KEY_PUBLICATION_SECONDS")]
    pub key_publication_seconds: Option<u64>,

    /// For tests: leaves out the 1200 and the 30 seconds above. Services that use common libraries then
    /// refuse good tokens after each rotation. Each start logs a warning.
    #[arg(long, env = "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION", default_value = "false",
          action = clap::ArgAction::Set)]
    pub dangerously_short_key_publication: bool,

    /// Seconds that a key stays published after it stopped signing. The least that is safe if
    /// unset: the life of an access token, three reloads, and the clock skew; less is refused.
    #[arg(long, env = "SIGNET_KEY_RETENTION_SECONDS")]
    pub key_retention_seconds: Option<u64>,
}
