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
    /// The import digest: a digest of the data that was imported last. It differs from the digest
    /// of the account's current data if the account was changed here after the import.
    pub digest: Vec<u8>,
    /// When the account was imported last.
    pub imported_at: Timestamp,
}

/// No relations: a row outlives its account.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
