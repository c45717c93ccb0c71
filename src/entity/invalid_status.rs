//! Entries of status lists whose sessions have ended.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `invalid_status`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "invalid_status")]
pub struct Model {
    /// The status list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub list_id: i32,
    /// The index in the list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub idx: i32,
    /// When the session ended.
    pub since: Timestamp,
}

/// No relations: the row of an entry remains after the account was deleted.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
