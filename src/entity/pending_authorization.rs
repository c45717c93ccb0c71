//! Authorization requests that wait for somebody who is logged in to decide. (Those of the version
//! before wait for a login, too.)

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `pending_authorization`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pending_authorization")]
pub struct Model {
    /// SHA-256 of the handle.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// SHA-256 of the cookie of the browser it waits in.
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
    /// Whose it is; none if an instance of the version before wrote it.
    pub account_id: Option<Uuid>,
}

/// A pending authorization is found by its handle.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
