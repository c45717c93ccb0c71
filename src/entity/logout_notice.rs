//! Back-channel logout notices that instances of the previous version have queued. The outbox has
//! replaced this table (`domain/session/logout_outbox`).

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `logout_notice`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "logout_notice")]
pub struct Model {
    /// The session that ended, the `sid` of its tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub session_id: Uuid,
    /// The account of the session, the `sub` of its tokens.
    pub account_id: Uuid,
    /// The client to notify.
    pub client_id: String,
    /// How many attempts failed.
    pub attempts: i32,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// When the session ended.
    pub created_at: Timestamp,
}

/// No relations: a notice is found by its session.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
