//! `signet database`

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::cli::database::open;
use crate::cli::output::{OutputError, print};
use crate::clock::Clock;
use crate::config::{DatabaseSettings, DatabaseUrl, KeySettings, RestoreSettings, TokenSettings};
use crate::database::{CopiedTable, Db, Lineage, StateFile, copy_database, migrate_up, undo_copy};
use crate::domain::keys::{KeyRing, MasterKeys, Schedule};
use crate::domain::{administration, id};

#[derive(Debug, Subcommand)]
pub(super) enum Database {
    /// Create a new database although the state file records another one.
    ///
    /// `serve` creates a database itself at its first start. But if the state file records a
    /// database that was served, `serve` refuses one that was never served, because the served
    /// database was probably lost. Run this command once to begin with a new database nevertheless.
    /// Accounts that were imported into the new database are kept.
    Create(Create),
    /// Copy the database to another one, between SQLite and PostgreSQL.
    ///
    /// All instances must be stopped. The number of rows and a digest of each table are compared
    /// after the copy. The source is then marked as moved, and `serve` and the commands refuse it.
    /// With the same master key, sessions, refresh tokens and signing keys stay valid on the
    /// target.
    Copy(Copy),
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

#[derive(Debug, Args)]
#[command(
    override_usage = "signet database copy [OPTIONS] --to <SIGNET_TARGET_DATABASE_URL>\n       \
                            signet database copy [OPTIONS] --undo"
)]
pub(super) struct Copy {
    /// URL of the target, which must be empty: a PostgreSQL database without tables, or a SQLite
    /// file that does not exist. Other users of this host can see the command line, so give a URL
    /// with a password in the variable.
    #[arg(
        long,
        env = "SIGNET_TARGET_DATABASE_URL",
        hide_env_values = true,
        required_unless_present = "undo"
    )]
    to: Option<DatabaseUrl>,
    /// Remove the mark of the source, so that `serve` accepts the source again. The source does not
    /// contain the changes that were made on the target since the copy.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Database {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(command) => command.run().await,
            Self::Copy(Copy { undo: true, database, .. }) => undo(&database).await,
            Self::Copy(Copy { to: Some(to), database, .. }) => copy(&database, to).await,
            Self::Copy(_) => bail!("--to is missing"),
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
        let has_accounts = administration::has_accounts(&db).await?;
        db.close().await;
        Ok(print(if has_accounts {
            "the first signing key was created; the accounts were kept"
        } else {
            "a new, empty database was created"
        })?)
    }
}

async fn copy(from: &DatabaseSettings, to: DatabaseUrl) -> anyhow::Result<()> {
    // Opening refuses a source that is already marked as moved, and applies pending migrations.
    open(from).await?.close().await;
    let target = DatabaseSettings { database_url: to, ..from.clone() };
    let copied = copy_database(from, &target, &Clock::System).await?;
    print_tables(&copied)?;
    let (from, to) = (&from.database_url, &target.database_url);
    print(&format!("all tables of {} equal those of the source", to.without_password()))?;
    print(&format!("{} is marked as moved, and no longer served", from.without_password()))?;
    Ok(print("set SIGNET_DATABASE_URL to the target, keep the master key, and start Signet")?)
}

fn print_tables(tables: &[CopiedTable]) -> Result<(), OutputError> {
    for CopiedTable { name, digest } in tables {
        print(&format!("{name}: {} rows, digest {}", digest.rows, digest.hex()))?;
    }
    Ok(())
}

async fn undo(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let db = Db::open(settings, Clock::shared()).await?;
    undo_copy(&db).await?;
    db.close().await;
    print("the database is no longer marked as moved, so `serve` accepts it again")?;
    Ok(print(
        "WARNING: changes made on the target are not in this database. If the target was served, \
         `serve` refuses this database as older until `signet restored` was run. Never serve both",
    )?)
}
