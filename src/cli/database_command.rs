//! `signet database`

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::cli::output::print;
use crate::clock::Clock;
use crate::config::{DatabaseSettings, KeySettings, RestoreSettings, TokenSettings};
use crate::database::{Db, Lineage, StateFile, migrate_up};
use crate::domain::id;
use crate::domain::keys::{KeyRing, MasterKeys, Schedule};

#[derive(Debug, Subcommand)]
pub(super) enum Database {
    /// Create a new, empty database although the state file knows of another one.
    ///
    /// `serve` creates a database itself at its first start. It refuses an empty database if the
    /// state file knows of one that was served before, because that one was probably lost. Run this
    /// command once to begin with an empty database nevertheless.
    Create(Create),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    tokens: TokenSettings,
    #[command(flatten)]
    restores: RestoreSettings,
}

impl Database {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(command) => command.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let schedule = Schedule::new(&self.keys, &self.tokens)?;
        let db = Db::connect(&self.database, Clock::shared()).await?;
        if Lineage::read(&db).await?.name().is_some() {
            bail!("the database is not empty: it has signing keys. Nothing was changed");
        }
        migrate_up(&db).await?;
        let master = MasterKeys::open(&self.keys.master_key_file, false)?;
        let now = db.clock().now();
        KeyRing::open(&db, master.sealer()?, self.keys.rsa_bits, schedule, now).await?;
        let lineage = Lineage::read(&db).await?;
        let file = self.restores.state_file(&self.keys.master_key_file);
        let file = StateFile::at(file, id::new(now));
        let noted = lineage.name().map_or(Ok(()), |name| file.note(&name, lineage.commits));
        noted.with_context(|| {
            let file = file.path().display();
            format!("the database was created, but the state file {file} cannot be written")
        })?;
        db.close().await;
        Ok(print("a new, empty database was created")?)
    }
}
