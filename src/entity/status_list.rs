//! Status lists, and the blocks of their entries that instances have claimed.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `status_list`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "status_list")]
pub struct Model {
    /// The last segment of the list's URI.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// One bit for each block of entries, set once an instance has claimed the block.
    pub claimed: Vec<u8>,
    /// Number of unset bits in `claimed`.
    pub free_blocks: i32,
    /// When the list was created.
    pub created_at: Timestamp,
    /// When the list was closed. All sessions of a closed list count as ended, even sessions that
    /// are unknown to the database.
    pub closed_at: Option<Timestamp>,
}

/// No relations: entries outlive their sessions.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
