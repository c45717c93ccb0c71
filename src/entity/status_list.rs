//! Status lists, and which blocks of their entries are allocated to instances.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `status_list`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "status_list")]
pub struct Model {
    /// The last segment of its URI.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// One bit for each block of entries, set once an instance has allocated it.
    pub claimed: Vec<u8>,
    /// Number of unset bits in `claimed`.
    pub free_blocks: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// From when all its sessions count as ended, including those unknown to the database.
    pub closed_at: Option<Timestamp>,
}

/// No relations: entries outlive the sessions they stand for.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
