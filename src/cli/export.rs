//! `signet export`

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::cli::output::{OutputError, cannot_create, print_to_stderr};
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, NewFile, migrate_up};
use crate::domain::{export, id};

#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// Export all accounts with their password hashes, one JSON object per line.
    ///
    /// `signet import accounts --from ndjson --trust-verified FILE` creates the same accounts in
    /// another database. Sessions, clients, consents and the audit log are not exported. The output
    /// contains password hashes and personal data.
    Accounts(ExportAccounts),
}

#[derive(Debug, Args)]
pub(super) struct ExportAccounts {
    /// The file to create, readable only by this user. It must not exist, and gets this name when it
    /// is complete. Without it, the accounts are written to standard output, unless that is a
    /// terminal.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Accounts(command) = self;
        if command.output.is_none() && io::stdout().is_terminal() {
            bail!(
                "standard output is a terminal, and the output contains password hashes: use \
                 --output FILE"
            );
        }
        let db = Db::open(&command.database, Clock::shared()).await?;
        migrate_up(&db).await?;
        let count = match &command.output {
            Some(path) => export_to_file(&db, path).await?,
            None => {
                write_accounts(&db, &mut io::stdout(), |error| OutputError::from(error).into())
                    .await?
            }
        };
        db.close().await;
        print_to_stderr(&format!("{count} accounts exported"));
        Ok(())
    }
}

/// Writes the accounts to a new file, which gets its name when it is complete.
async fn export_to_file(db: &Db, path: &Path) -> anyhow::Result<u64> {
    let failed = |error| cannot_create(path, &error);
    let mut file = NewFile::create(path, false, id::new(db.clock().now())).map_err(failed)?;
    let count = write_accounts(db, file.file(), failed).await?;
    file.publish().map_err(failed)?;
    Ok(count)
}

async fn write_accounts(
    db: &Db,
    output: &mut (impl Write + Send),
    failed: impl Fn(io::Error) -> anyhow::Error,
) -> anyhow::Result<u64> {
    let mut output = BufWriter::new(output);
    let (mut export, mut count) = (export::Export::default(), 0);
    loop {
        let lines = export.next(db).await?;
        if lines.is_empty() {
            output.flush().map_err(failed)?;
            return Ok(count);
        }
        for line in &lines {
            writeln!(output, "{line}").map_err(&failed)?;
            count += 1;
        }
    }
}
