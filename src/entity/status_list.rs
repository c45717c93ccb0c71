//! Status lists: which of their entries belong to sessions.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `status_list`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "status_list")]
pub struct Model {
    /// The last part of its URI.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// One bit for each block of entries, set once an instance has taken it.
    pub claimed: Vec<u8>,
    /// Bits of `claimed` that are not set.
    pub free_blocks: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on all of its sessions count as ended, also those that the database knows nothing
    /// of.
    pub closed_at: Option<Timestamp>,
}

/// A list is related to nothing: its entries outlive the sessions they stand for.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
