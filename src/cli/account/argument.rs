//! The account argument of a command.

use anyhow::anyhow;
use clap::Args;
use uuid::Uuid;

use crate::cli::database::open;
use crate::config::DatabaseSettings;
use crate::database::Db;
use crate::domain::administration;
use crate::domain::email::Email;

/// An account given by email address or id.
#[derive(Debug, Args)]
pub(in crate::cli) struct AccountArgument {
    /// The account's email address or id.
    pub(super) account: String,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

impl AccountArgument {
    /// Opens the database and finds the id of the account. Commands use the id, because the address
    /// may later belong to another account.
    pub(super) async fn open_and_find(&self) -> anyhow::Result<(Db, Uuid)> {
        let (db, email) = self.open().await?;
        let id = match self.account.parse() {
            Ok(id) => id,
            Err(_) => administration::find(&db, &email).await?,
        };
        Ok((db, id))
    }

    /// Opens the database, and returns the email address, also for an account that is given by its
    /// id.
    pub(super) async fn open(&self) -> anyhow::Result<(Db, Email)> {
        let parsed = |address: &str| {
            Email::parse_known(address).map_err(|error| anyhow!("the address {error}"))
        };
        if let Ok(id) = self.account.parse() {
            let db = open(&self.database).await?;
            let address = administration::address_of(&db, id).await?;
            return Ok((db, parsed(&address)?));
        }
        let email = parsed(&self.account)?;
        Ok((open(&self.database).await?, email))
    }
}
