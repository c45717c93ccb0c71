//! `signet keys`

use clap::Subcommand;

use crate::cli::print;
use crate::config::DatabaseSettings;
use crate::database::Db;
use crate::domain::keys;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// List the signing keys, oldest first: id, algorithm, state, and since when.
    List {
        #[command(flatten)]
        database: DatabaseSettings,
    },
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::List { database } = self;
        let db = Db::connect(&database).await?;
        for key in keys::list(&db).await? {
            let since = key.activated_at.unwrap_or(key.created_at).to_rfc3339();
            let state = key.state.name();
            print(&format!("{}  {}  {state} since {since}", key.kid, key.algorithm));
        }
        db.close().await;
        Ok(())
    }
}
