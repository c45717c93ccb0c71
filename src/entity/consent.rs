//! What people have allowed which client.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `consent`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "consent")]
pub struct Model {
    /// Who allowed it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// Whom.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// What, space-separated.
    pub scope: String,
    /// When it was last said.
    pub granted_at: Timestamp,
}

/// A consent is found by its key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
