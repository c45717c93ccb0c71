//! `signet account list`

use clap::Args;
use serde_json::json;

use crate::cli::account::open;
use crate::cli::output::{self, OutputError, print_json};
use crate::config::DatabaseSettings;
use crate::domain::operator::{self, Wanted};
use crate::entity::account;
use crate::timestamp::Timestamp;

/// Accounts that are read at a time.
const PAGE: u64 = 500;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only accounts whose address has this text in it.
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
    /// Only accounts that are switched off.
    #[arg(long, conflicts_with = "enabled")]
    disabled: bool,
    /// Only accounts that are not switched off.
    #[arg(long)]
    enabled: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl List {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let db = open(&self.database).await?;
        let wanted = Wanted {
            is_disabled: (self.disabled || self.enabled).then_some(self.disabled),
            address_part: self.address.map(|part| part.to_lowercase()),
        };
        let print = if self.json { print_object } else { print_line };
        let mut last = None;
        loop {
            let page = operator::list(&db, &wanted, last, PAGE).await?;
            page.iter().try_for_each(print)?;
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
    let seen = account.last_login_at.map_or("never".to_owned(), Timestamp::to_rfc3339);
    let state = if account.is_enabled() { "enabled" } else { "disabled" };
    let address = account.email_claims().email;
    output::print(&format!("{}  {address}  {state}  last login {seen}", account.id))
}

fn print_object(account: &account::Model) -> Result<(), OutputError> {
    let object = json!({
        "id": account.id,
        "email": account.email_claims().email,
        "email_verified": account.email_claims().email_verified,
        "created_at": account.created_at.to_rfc3339(),
        "disabled_at": account.disabled_at.map(Timestamp::to_rfc3339),
        "last_login_at": account.last_login_at.map(Timestamp::to_rfc3339),
    });
    print_json(&object.to_string())
}
