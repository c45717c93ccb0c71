//! `signet migrate`

use clap::Subcommand;

use crate::cli::output::print;
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, migrate_down, migrate_up, status};

#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
    /// Apply all pending migrations.
    Up(DatabaseSettings),
    /// Revert the newest migrations. The data in the tables and columns that they added is lost.
    Down {
        /// How many migrations to revert.
        #[arg(long, default_value_t = 1)]
        steps: u32,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Show which migrations have been applied.
    Status(DatabaseSettings),
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let db = match &self {
            Self::Up(database) => Db::connect(database, Clock::shared()).await?,
            Self::Down { database, .. } | Self::Status(database) => {
                Db::open(database, Clock::shared()).await?
            }
        };
        match self {
            Self::Up(_) => migrate_up(&db).await?,
            Self::Down { steps, .. } => migrate_down(&db, steps).await?,
            Self::Status(_) => {}
        }
        for (is_applied, name) in status(&db).await? {
            print(&format!("{}  {name}", if is_applied { "applied" } else { "pending" }))?;
        }
        db.close().await;
        Ok(())
    }
}
