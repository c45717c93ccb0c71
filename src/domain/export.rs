//! Export of accounts in the format that `signet import accounts --from ndjson` reads.

use sea_orm::DbErr;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::administration;
use crate::entity::account::Model;
use crate::timestamp::Timestamp;

/// Number of accounts read at a time.
const PORTION: u64 = 500;

/// An export in progress, in the order of ids.
#[derive(Debug, Default)]
pub struct Export {
    last: Option<Uuid>,
}

impl Export {
    /// The next accounts, one JSON object each, with their password hashes. Empty after the last
    /// account. Deleted accounts are left out.
    ///
    /// # Errors
    /// If the database refuses; the same accounts can be read again.
    pub async fn next(&mut self, db: &Db) -> Result<Vec<String>, DbErr> {
        let accounts = administration::list(db, self.last, PORTION).await?;
        self.last = accounts.last().map_or(self.last, |account| Some(account.id));
        Ok(accounts.iter().map(|account| Value::Object(record(account)).to_string()).collect())
    }
}

/// An account as an object. Members without a value are left out.
fn record(account: &Model) -> Map<String, Value> {
    // All columns are named, so that a new column does not compile until it is exported or left
    // out.
    let Model {
        id,
        email,
        email_canonical,
        email_folded,
        email_ambiguous,
        password_hash,
        email_verified_at,
        disabled_at,
        last_login_at,
        created_at,
        profile,
        profile_updated_at,
        reset_expires_at: _,
        session_epoch: _,
        deleted_at: _,
    } = account;
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let time = |at: Option<Timestamp>| at.map(|at| Value::String(at.to_rfc3339_exact()));
    let typed = Some(email).filter(|email| *email != email_canonical);
    let folded = email_folded.as_deref().filter(|_| *email_ambiguous);
    let members = [
        ("id", text(&id.to_string())),
        ("email", text(email_canonical)),
        ("email_as_typed", typed.and_then(|typed| text(typed))),
        ("email_ambiguous", email_ambiguous.then_some(Value::Bool(true))),
        ("email_folded", folded.and_then(text)),
        ("email_verified_at", time(*email_verified_at)),
        ("password_hash", password_hash.as_deref().and_then(text)),
        ("disabled_at", time(*disabled_at)),
        ("created_at", time(Some(*created_at))),
        ("last_login_at", time(*last_login_at)),
        ("profile", profile.clone().filter(|profile| !profile.is_null())),
        ("profile_updated_at", time(*profile_updated_at)),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
        .collect()
}
