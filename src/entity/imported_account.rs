//! Accounts that were imported from another system, and the state in which they were imported. A
//! row outlives its account, so that a later import does not create a deleted account again.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `imported_account`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "imported_account")]
pub struct Model {
    /// The account.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// The format of the source, such as `django`.
    pub source: String,
    /// A digest of the data that was imported last. It differs from that of the account if the
    /// account was changed here since.
    pub digest: Vec<u8>,
    /// When the account was imported last.
    pub imported_at: Timestamp,
}

/// No relations: a row outlives its account.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
