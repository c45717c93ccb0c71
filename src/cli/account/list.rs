//! `signet account list`

use clap::Args;
use serde_json::json;

use crate::cli::database::open;
use crate::cli::output::{self, OutputError, print_json};
use crate::config::DatabaseSettings;
use crate::domain::administration;
use crate::entity::account;
use crate::timestamp::Timestamp;

/// Accounts per database query.
const PAGE: u64 = 500;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
pub(in crate::cli) struct List {
    /// Only accounts whose email address contains this text.
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
    /// Only disabled accounts.
    #[arg(long, conflicts_with = "enabled")]
    disabled: bool,
    /// Only enabled accounts.
    #[arg(long)]
    enabled: bool,
    /// Only accounts without a password, whose owners cannot log in before a reset.
    #[arg(long)]
    without_password: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl List {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let db = open(&self.database).await?;
        let address_part = self.address.map(|part| part.to_lowercase()).unwrap_or_default();
        // The accounts are filtered here and not in SQL. No index covers these columns, so the
        // query of each page could scan the whole table.
        let is_wanted = |account: &&account::Model| {
            let is_enabled = account.is_enabled();
            let has_state = (is_enabled || !self.enabled) && (!is_enabled || !self.disabled);
            let matches_flags =
                has_state && (account.password_hash.is_none() || !self.without_password);
            matches_flags && account.email_claims().email.to_lowercase().contains(&address_part)
        };
        let print = if self.json { print_object } else { print_line };
        let mut last = None;
        loop {
            let page = administration::list(&db, last, PAGE).await?;
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

fn print_line(account: &account::Model) -> Result<(), OutputError> {
    let last_login = account.last_login_at.map_or("never".to_owned(), Timestamp::to_rfc3339);
    let state = if account.is_enabled() { "enabled" } else { "disabled" };
    let address = account.email_claims().email;
    output::print(&format!("{}  {address}  {state}  last login {last_login}", account.id))
}

fn print_object(account: &account::Model) -> Result<(), OutputError> {
    let object = json!({
        "id": account.id,
        "email": account.email_claims().email,
        "email_verified": account.email_claims().email_verified,
        "created_at": account.created_at.to_rfc3339(),
        "has_password": account.password_hash.is_some(),
        "disabled_at": account.disabled_at.map(Timestamp::to_rfc3339),
        "last_login_at": account.last_login_at.map(Timestamp::to_rfc3339),
    });
    print_json(&object.to_string())
}
