//! `signet invite`

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::database::{finish, open};
use crate::cli::output::{self, OutputError, print_json};
use crate::config::DatabaseSettings;
use crate::domain::email::Email;
use crate::domain::invite::{self, Named, Row};
use crate::timestamp::Timestamp;

/// Invites per database query.
const PAGE: u64 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum Invite {
    /// List the invites that were not used yet: id, address, creation and expiry.
    List(List),
    /// Revoke an invite, so that its link does not work any more.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The id of the invite, or the invited email address.
    invite: String,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Invite {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(command) => list(&command).await,
            Self::Revoke(command) => revoke(&command).await,
        }
    }
}

async fn list(command: &List) -> anyhow::Result<()> {
    let db = open(&command.database).await?;
    let print = if command.json { print_object } else { print_line };
    let mut last = None;
    loop {
        let page = invite::list(&db, last, PAGE).await?;
        page.iter().try_for_each(print)?;
        match page.last() {
            Some(row) => last = Some(row.id),
            None => break,
        }
    }
    db.close().await;
    Ok(())
}

async fn revoke(command: &Revoke) -> anyhow::Result<()> {
    let named = match command.invite.parse() {
        Ok(id) => Named::Id(id),
        Err(_) => Named::Address(
            Email::parse_known(&command.invite).map_err(|error| anyhow!("the address {error}"))?,
        ),
    };
    let db = open(&command.database).await?;
    let row = invite::revoke(&db, named).await?;
    finish(&db, &format!("revoked the invite of {}", invite::address_of(&row))).await
}

fn print_line(row: &Row) -> Result<(), OutputError> {
    let (created, expires) = (row.created_at.to_rfc3339(), row.expires_at.to_rfc3339());
    let address = invite::address_of(row);
    output::print(&format!("{}  {address}  created {created}  expires {expires}", row.id))
}

fn print_object(row: &Row) -> Result<(), OutputError> {
    let object = json!({
        "id": row.id,
        "email": invite::address_of(row),
        "created_at": row.created_at.to_rfc3339(),
        "expires_at": row.expires_at.to_rfc3339(),
        "mailed_at": row.mailed_at.map(Timestamp::to_rfc3339),
    });
    print_json(&object.to_string())
}
