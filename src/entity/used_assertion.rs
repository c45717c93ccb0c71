//! Assertions that clients have shown (RFC 7523 §3): none is good twice.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `used_assertion`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "used_assertion")]
pub struct Model {
    /// SHA-256 of the client and the `jti`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// From when the assertion would be refused anyway.
    pub expires_at: Timestamp,
}

/// An assertion is found by its digest.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
