//! Client assertions that have been used (RFC 7523 §3). Each assertion is accepted once.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `used_assertion`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "used_assertion")]
pub struct Model {
    /// SHA-256 of the client ID and the `jti`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// When the row may be deleted: the assertion has expired by then.
    pub expires_at: Timestamp,
}

/// No relations: an assertion is found by its digest.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
