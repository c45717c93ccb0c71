//! `signet account list-imported`

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::database::open;
use crate::cli::output::{cannot_create, print, printable_json, printable_line};
use crate::config::DatabaseSettings;
use crate::database::{Db, NewFile};
use crate::domain::id;
use crate::domain::import::{ImportedAccount, ImportedState, list_imported};

/// Accounts per database query.
const PAGE: u64 = 500;

#[derive(Debug, Args)]
pub(in crate::cli) struct ListImported {
    /// Only accounts that were deleted in Signet.
    #[arg(long)]
    deleted: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    /// The file to create instead of printing, readable only by this user. It must not exist, and
    /// gets this name when it is complete.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl ListImported {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let db = open(&self.database).await?;
        match &self.output {
            None => {
                self.list(&db, |line| Ok(print(&line)?)).await?;
            }
            Some(path) => {
                let failed = |error| cannot_create(path, &error);
                let id = id::new(db.clock().now());
                let mut file = NewFile::create(path, false, id).map_err(failed)?;
                let mut output = BufWriter::new(file.file());
                self.list(&db, |line| writeln!(output, "{line}").map_err(failed)).await?;
                output.flush().map_err(failed)?;
                drop(output);
                file.publish().map_err(failed)?;
            }
        }
        db.close().await;
        Ok(())
    }

    /// Calls `write` with a line for each account.
    async fn list(
        &self,
        db: &Db,
        mut write: impl FnMut(String) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let is_wanted = |it: &&ImportedAccount| !self.deleted || it.state == ImportedState::Deleted;
        let text = if self.json { object } else { line };
        let mut last = None;
        loop {
            let page = list_imported(db, last, PAGE).await?;
            page.iter().filter(is_wanted).map(text).try_for_each(&mut write)?;
            match page.last() {
                Some(account) => last = Some(account.id),
                None => return Ok(()),
            }
        }
    }
}

fn line(account: &ImportedAccount) -> String {
    let ImportedAccount { id, source, imported_at, state } = account;
    let change = match state {
        ImportedState::Deleted => "deleted here".to_owned(),
        ImportedState::Exists { email, is_email_changed, is_changed } => {
            let changes = match (is_changed, is_email_changed) {
                (false, false) => "not changed here",
                (true, false) => "changed here",
                (false, true) => "address changed here",
                (true, true) => "changed here, address too",
            };
            format!("{email}  {changes}")
        }
    };
    let imported_at = imported_at.to_rfc3339();
    printable_line(&format!("{id}  imported from {source} {imported_at}  {change}"))
}

fn object(account: &ImportedAccount) -> String {
    let ImportedAccount { id, source, imported_at, state } = account;
    let (email, is_email_changed, is_changed) = match state {
        ImportedState::Deleted => (None, false, false),
        ImportedState::Exists { email, is_email_changed, is_changed } => {
            (Some(email), *is_email_changed, *is_changed)
        }
    };
    let object = json!({
        "id": id,
        "source": source,
        "imported_at": imported_at.to_rfc3339(),
        "deleted": *state == ImportedState::Deleted,
        "email": email,
        "email_changed": is_email_changed,
        "changed": is_changed,
    });
    printable_json(&object.to_string())
}
