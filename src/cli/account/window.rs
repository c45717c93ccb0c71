//! The attempt window of an account, for commands that show it.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::domain::attempt_limit::AttemptKey;
use crate::domain::email::Email;
use crate::domain::keys::MasterKeys;

/// The server's settings that concern the attempt window of an account.
#[derive(Debug, Args)]
pub(in crate::cli) struct WindowSettings {
    /// File with the master key, which is needed to find the failed attempts with the email
    /// address.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    master_key_file: PathBuf,
    /// Password attempts per account in any 60 s, as set for the server.
    #[arg(long, env = "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE", default_value = "10",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(super) account_attempts_per_minute: u32,
}

impl WindowSettings {
    /// The key of the attempt window of an email address.
    ///
    /// # Errors
    /// If the master key cannot be read. No master key is created.
    pub(super) fn key(&self, email: &Email) -> anyhow::Result<AttemptKey> {
        let master = MasterKeys::open(&self.master_key_file, true)?;
        Ok(AttemptKey::of_account(&master.limit_key()?, email))
    }
}
