//! The audit log: what happened, to whom, from where. Never a secret.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `auth_event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_event")]
pub struct Model {
    /// A `UUIDv7`, so that the primary key is in the order of time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// `success` or `failure`.
    pub outcome: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// To whom.
    pub account_id: Option<Uuid>,
    /// In which login.
    pub session_id: Option<Uuid>,
    /// Through which client.
    pub client_id: Option<String>,
    /// The canonical address it came from.
    pub address: Option<String>,
    /// The forwarding chain as received from a trusted proxy.
    pub forwarded: Option<String>,
    /// The program, as it named itself; at most 500 characters.
    pub user_agent: Option<String>,
    /// The request that did it.
    pub request_id: Option<Uuid>,
    /// Of a failure, the keyed digest of the address that somebody tried; it names the window of the
    /// attempts at it, too.
    pub email_digest: Option<Vec<u8>>,
}

/// An event outlives what it speaks of, so it is related to nothing.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
