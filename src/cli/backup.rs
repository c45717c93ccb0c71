//! `signet backup`

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::cli::output::{print, print_lines};
use crate::cli::postgres_tools::{PASSWORD, dump_line};
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{BackupFile, Counts, draft_backup};
use crate::domain::id;

/// What else must be backed up.
const NOT_INCLUDED: &str = "\
The master key is not in this backup. Back up the file of SIGNET_MASTER_KEY_FILE separately: without
it, signing keys and refresh tokens of the backup cannot be used. Do not back up the state file.";

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write. It gets mode 0600.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it exists, once the new backup is complete.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let url = &self.database.database_url;
        if url.sqlite_file().is_none() {
            print(&dump_line(url, &self.file))?;
            bail!(
                "no backup was made: PostgreSQL is backed up by its own pg_dump. Run the printed \
                 line; {PASSWORD}"
            );
        }
        let id = id::new(Clock::System.now());
        let draft = draft_backup(&self.database, &self.file, self.overwrite, id).await?;
        let copy = BackupFile::open(draft.path()).await?;
        let counts = copy.counts().await;
        copy.close().await;
        let Counts { accounts, sessions, .. } = counts?;
        let file = draft.publish()?;
        print(&format!("backed up to {}", file.display()))?;
        print(&format!("accounts: {accounts}, sessions: {sessions}"))?;
        Ok(print_lines(NOT_INCLUDED)?)
    }
}
