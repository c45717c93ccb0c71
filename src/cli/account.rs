//! `signet account`

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use crate::cli::print;
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, migrate_up};
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::keys::MasterKeys;
use crate::domain::reset::{self, ResetTokens};

#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// Print a token with which the owner of an address chooses a new password.
    ///
    /// Send it to that address and nowhere else: who has it has the account. It is good for half an
    /// hour, and once, at POST /api/auth/password/reset. Using it ends all sessions and voids the
    /// old password, whoever chose that.
    ResetPassword(ResetPassword),
}

#[derive(Debug, Args)]
pub(super) struct ResetPassword {
    /// The account's address.
    email: String,
    #[command(flatten)]
    database: DatabaseSettings,
    /// File with the master key.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    master_key_file: PathBuf,
}

impl Account {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::ResetPassword(wish) = self;
        let email = Email::parse(&wish.email).map_err(|error| anyhow!("the address {error}"))?;
        let db = Db::connect(&wish.database).await?;
        migrate_up(&db).await?;
        // A server that has accounts has a master key: here none is ever made.
        let master = MasterKeys::open(&wish.master_key_file, true)?;
        let tokens = ResetTokens::new(master.reset_keys()?);
        let now = Clock::System.now();
        let token = reset::request(&db, &tokens, &email, &Origin::default(), now).await?;
        print(&token);
        db.close().await;
        Ok(())
    }
}
