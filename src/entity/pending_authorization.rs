//! Authorization requests that wait for a person to log in or to decide.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `pending_authorization`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pending_authorization")]
pub struct Model {
    /// SHA-256 of the handle.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// SHA-256 of the cookie of the browser it began in.
    pub browser_digest: Vec<u8>,
    /// Who asks.
    pub client_id: String,
    /// What was asked, after all checks.
    #[sea_orm(column_type = "JsonBinary")]
    pub request: Json,
    /// When it was asked.
    pub created_at: Timestamp,
    /// Until when it may be answered.
    pub expires_at: Timestamp,
}

/// A pending authorization is found by its handle.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
