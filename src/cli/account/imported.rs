//! `signet account list-imported`

use clap::Args;
use serde_json::json;

use crate::cli::database::open;
use crate::cli::output::{OutputError, print, print_json};
use crate::config::DatabaseSettings;
use crate::domain::import::{ImportedAccount, ImportedState, list_imported};

/// Accounts per database query.
const PAGE: u64 = 500;

#[derive(Debug, Args)]
pub(in crate::cli) struct ListImported {
    /// Only accounts that were deleted here.
    #[arg(long)]
    deleted: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl ListImported {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let db = open(&self.database).await?;
        let is_wanted = |it: &&ImportedAccount| !self.deleted || it.state == ImportedState::Deleted;
        let print = if self.json { print_object } else { print_line };
        let mut last = None;
        loop {
            let page = list_imported(&db, last, PAGE).await?;
            page.iter().filter(is_wanted).try_for_each(print)?;
            match page.last() {
                Some(account) => last = Some(account.id),
                None => break,
            }
        }
        db.close().await;
        Ok(())
    }
}

fn print_line(account: &ImportedAccount) -> Result<(), OutputError> {
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
    print(&format!("{id}  imported from {source} {}  {change}", imported_at.to_rfc3339()))
}

fn print_object(account: &ImportedAccount) -> Result<(), OutputError> {
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
    print_json(&object.to_string())
}
