//! The audit log. Each event is written in the transaction of the action that it records.
//!
//! If the event cannot be written, the action fails. Events never contain a secret. An email
//! address without an account is recorded only as a keyed digest, because it might be a password
//! that was typed into the wrong field.

mod kind;
mod reference;

use std::net::IpAddr;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, Set};
use uuid::Uuid;

use crate::database::bulk_insert;
use crate::domain::id;
use crate::domain::language::Language;
use crate::entity::auth_event::{ActiveModel, Column, Entity, Model};
use crate::naming;
use crate::timestamp::Timestamp;

pub use kind::Kind;
pub use reference::markdown;

/// Maximum length of a stored text that a client sent about itself, in characters.
const MAX_TEXT: usize = 500;

/// Where a request came from, as far as it can be trusted.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The client's canonical address; `None` if it is unknown.
    pub address: Option<IpAddr>,
    /// The forwarding chain, if a trusted proxy sent one.
    pub forwarded: Option<String>,
    /// `User-Agent`, as sent.
    pub user_agent: Option<String>,
    /// The request's id, which its response and its log lines contain as well.
    pub request_id: Option<Uuid>,
    /// The language of mails that the request causes. It is not recorded.
    pub language: Language,
}

/// One event, to be recorded with [`Event::record`].
#[derive(Debug, Clone)]
#[must_use = "an event has no effect until it is recorded"]
pub struct Event(ActiveModel);

impl Event {
    /// An event without an account, a session or a client yet.
    pub fn new(kind: Kind) -> Self {
        Self(ActiveModel {
            kind: Set(kind.name().to_owned()),
            outcome: Set(kind.outcome().to_owned()),
            // All other columns are null.
            ..ActiveModel::default_values()
        })
    }

    /// Sets the affected account, if it is known.
    pub fn account(mut self, id: impl Into<Option<Uuid>>) -> Self {
        self.0.account_id = Set(id.into());
        self
    }

    /// Sets the affected session, its account and its client.
    pub fn session(self, account_id: Uuid, id: Uuid, client_id: &str) -> Self {
        let mut event = self.account(account_id).client(client_id);
        event.0.session_id = Set(Some(id));
        event
    }

    /// Sets the affected client.
    pub fn client(mut self, id: &str) -> Self {
        self.0.client_id = Set(Some(id.to_owned()));
        self
    }

    /// Sets the keyed digest of the email address that was tried.
    pub fn email_digest(mut self, digest: Option<Vec<u8>>) -> Self {
        self.0.email_digest = Set(digest);
        self
    }

    /// Sets the reason, a word or a fixed sentence.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Set(Some(reason.into()));
        self
    }

    /// Writes the event. Must run in the transaction of the action that it records.
    ///
    /// # Errors
    /// If the database refuses; then the transaction must not be committed.
    pub async fn record(
        self,
        txn: &impl ConnectionTrait,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        Entity::insert(self.row(origin, now)).exec_without_returning(txn).await?;
        Ok(())
    }

    fn row(self, origin: &Origin, now: Timestamp) -> ActiveModel {
        ActiveModel {
            id: Set(id::new(now)),
            at: Set(now),
            address: Set(origin.address.map(|address| address.to_string())),
            forwarded: Set(origin.forwarded.as_deref().map(sanitized)),
            user_agent: Set(origin.user_agent.as_deref().map(sanitized)),
            request_id: Set(origin.request_id),
            ..self.0
        }
    }
}

/// Writes events that no request caused. Must run in the transaction of the actions that they
/// record.
///
/// # Errors
/// If the database refuses; then the transaction must not be committed.
pub async fn record_all(
    txn: &impl ConnectionTrait,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<(), DbErr> {
    if events.is_empty() {
        return Ok(());
    }
    let origin = Origin::default();
    let rows: Vec<Model> = events.into_iter().map(|event| model(event.row(&origin, now))).collect();
    bulk_insert::insert_all::<Entity>(txn, &rows).await
}

/// All columns of an event.
fn model(mut row: ActiveModel) -> Model {
    Model {
        id: row.id.take().unwrap_or_default(),
        at: row.at.take().unwrap_or_default(),
        kind: row.kind.take().unwrap_or_default(),
        outcome: row.outcome.take().unwrap_or_default(),
        reason: row.reason.take().flatten(),
        account_id: row.account_id.take().flatten(),
        session_id: row.session_id.take().flatten(),
        client_id: row.client_id.take().flatten(),
        address: row.address.take().flatten(),
        forwarded: row.forwarded.take().flatten(),
        user_agent: row.user_agent.take().flatten(),
        request_id: row.request_id.take().flatten(),
        email_digest: row.email_digest.take().flatten(),
    }
}

/// An event that another system recorded.
#[derive(Debug, Clone)]
pub struct PastEvent {
    /// A `UUIDv7` of the time `at`. An event must get the same id in each import.
    pub id: Uuid,
    /// When the event happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// Where the request came from.
    pub origin: Origin,
}

/// Writes events that another system recorded, in one statement. Skips events that were written
/// before. Returns how many were written. The caller must limit the number of events, because each
/// needs some parameters of the statement.
///
/// # Errors
/// If the database refuses; then the transaction must not be committed.
pub async fn record_past(txn: &impl ConnectionTrait, events: Vec<PastEvent>) -> Result<u64, DbErr> {
    let row = |PastEvent { id, at, event, origin }: PastEvent| {
        let row = event.row(&origin, at);
        ActiveModel { id: Set(id), ..row }
    };
    let skip = OnConflict::column(Column::Id).do_nothing().to_owned();
    let insert = Entity::insert_many(events.into_iter().map(row)).on_conflict(skip);
    insert.exec_without_returning(txn).await
}

/// The stored form of a text that a client sent: truncated, and with U+FFFD for characters that are
/// invisible or change the order of other characters. The pages and mails show it.
#[must_use]
pub fn sanitized(text: &str) -> String {
    let replaced = |c| if naming::is_printable(c) { c } else { '\u{fffd}' };
    text.chars().map(replaced).take(MAX_TEXT).collect()
}
