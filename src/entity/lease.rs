//! Leases. A lease is the right of one instance to do a task that only one instance at a time may
//! do.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `lease`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "lease")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The instance that has the lease.
    pub holder: Option<Uuid>,
    /// When the lease expires.
    pub expires_at: Timestamp,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
