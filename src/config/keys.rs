//! Settings: the master key, and the rotation of signing keys.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::config::parse::parse_rsa_bits;

/// The master key, and the schedule of signing keys.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeySettings {
    /// File with the master key, which encrypts the signing keys in the database. Created at the
    /// first start, with mode 0600. Back it up separately from the database.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    pub master_key_file: PathBuf,

    /// Modulus length of new signing keys, in bits: 2048, 3072 or 4096.
    #[arg(long, env = "SIGNET_RSA_BITS", default_value = "2048", value_parser = parse_rsa_bits)]
    pub rsa_bits: u32,

    /// Seconds that resource servers may cache the key set (JWKS).
    #[arg(long, env = "SIGNET_JWKS_MAX_AGE_SECONDS", default_value = "300",
          value_parser = value_parser!(u64).range(1..=86_400))]
    pub jwks_max_age_seconds: u64,

    /// Seconds after which a signing key is replaced by a new one; 0 = only by commands such as
    /// `signet keys rotate`.
    #[arg(long, env = "SIGNET_KEY_ROTATION_SECONDS", default_value = "2592000")]
    pub key_rotation_seconds: u64,

    /// Seconds between reloads of the signing keys from the database. An instance that could not
    /// reload them for three times as many seconds stops signing and responds with 503.
    #[arg(long, env = "SIGNET_KEY_RELOAD_SECONDS", default_value = "5",
          value_parser = value_parser!(u64).range(1..=3600))]
    pub key_reload_seconds: u64,

    /// Maximum difference between the clocks of instances and resource servers, in seconds.
    #[arg(long, env = "SIGNET_CLOCK_SKEW_SECONDS", default_value = "30",
          value_parser = value_parser!(u64).range(0..=600))]
    pub clock_skew_seconds: u64,

    /// Seconds that a new key is published before it signs. Minimum: the cache time of the key set
    /// plus three reloads plus twice the clock skew, but at least 30 s plus the clock skew, because
    /// common libraries do not refetch a key set within 30 s. A lower value is refused. Default:
    /// 1200, because some libraries cache a key set for up to 15 minutes whatever its max-age; or
    /// the minimum, if that is more than 1200.
    #[arg(long, env = "SIGNET_KEY_PUBLICATION_SECONDS")]
    pub key_publication_seconds: Option<u64>,

    /// For tests: the minimum and the default of `SIGNET_KEY_PUBLICATION_SECONDS` are the cache
    /// time of the key set plus three reloads plus twice the clock skew. Resource servers that use
    /// common libraries then refuse valid tokens after each rotation. Each start logs a warning.
    #[arg(long, env = "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION", default_value = "false",
          action = clap::ArgAction::Set)]
    pub dangerously_short_key_publication: bool,

    /// Seconds that a key stays published after it stopped signing. Minimum and default: the
    /// lifetime of an access token plus three reloads plus the clock skew. A lower value is
    /// refused.
    #[arg(long, env = "SIGNET_KEY_RETENTION_SECONDS")]
    pub key_retention_seconds: Option<u64>,
}
