//! Logouts that clients are still to be told of.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `logout_notice`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "logout_notice")]
pub struct Model {
    /// The session that ended: the `sid` of its tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub session_id: Uuid,
    /// Whose it was: the `sub`.
    pub account_id: Uuid,
    /// Who is to be told.
    pub client_id: String,
    /// How often that was tried.
    pub attempts: i32,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// When the session ended.
    pub created_at: Timestamp,
}

/// A notice is found by its session.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
