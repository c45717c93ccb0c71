//! Reset tokens that commands print.

use std::path::PathBuf;

use clap::Args;

use crate::database::Db;
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::keys::MasterKeys;
use crate::domain::password_reset::{self, ResetTokens};

/// The server's settings that concern reset tokens.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResetTokenSettings {
    /// File with the master key.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    master_key_file: PathBuf,
}

impl ResetTokenSettings {
    /// Creates a reset token for the account with this email address.
    ///
    /// # Errors
    /// If there is no such account, or the master key cannot be read. No master key is created.
    pub(super) async fn request(&self, db: &Db, email: &Email) -> anyhow::Result<String> {
        let master = MasterKeys::open(&self.master_key_file, true)?;
        let restore = db.last_restore().await?.map(|restore| restore.id);
        let tokens = ResetTokens::new(master.reset_keys(restore)?);
        let (origin, now) = (Origin::default(), db.clock().now());
        Ok(password_reset::request(db, &tokens, email, &origin, now).await?)
    }
}
