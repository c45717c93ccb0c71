//! The audit log: events, with the account that is affected and the origin of the request. It never
//! contains secrets.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `auth_event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "auth_event")]
pub struct Model {
    /// A `UUIDv7`, so the primary key is in chronological order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When the event happened.
    pub at: Timestamp,
    /// The kind of event.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// `success` or `failure`.
    pub outcome: String,
    /// The reason, a word or a sentence.
    pub reason: Option<String>,
    /// The affected account.
    pub account_id: Option<Uuid>,
    /// The session in which the event happened.
    pub session_id: Option<Uuid>,
    /// The client involved.
    pub client_id: Option<String>,
    /// The canonical client address.
    pub address: Option<String>,
    /// The forwarding chain as received from a trusted proxy.
    pub forwarded: Option<String>,
    /// The user agent as sent, at most 500 characters.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<Uuid>,
    /// For a failed attempt, or a request of a mail: the keyed digest of the email address that was
    /// entered. The row of `attempt` that counts the attempts with this address has the same value
    /// as its key.
    pub email_digest: Option<Vec<u8>>,
}

/// No relations: an event outlives the rows to which it refers.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
