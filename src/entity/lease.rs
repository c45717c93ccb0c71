//! Work that one instance at a time may do.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `lease`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lease")]
pub struct Model {
    /// The work.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The instance that may do it.
    pub holder: Option<Uuid>,
    /// Until when nobody else may.
    pub expires_at: Timestamp,
}

/// A lease is related to nothing.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
