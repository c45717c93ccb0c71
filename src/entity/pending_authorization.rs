//! Authorization requests that wait for the consent of a logged-in user. Requests that the previous
//! version stored may also wait for a login.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `pending_authorization`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "pending_authorization")]
pub struct Model {
    /// SHA-256 of the handle.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// SHA-256 of the cookie of the browser that sent the request.
    pub browser_digest: Vec<u8>,
    /// The client of the request.
    pub client_id: String,
    /// The request after all checks.
    #[sea_orm(column_type = "JsonBinary")]
    pub request: Json,
    /// When the request was received.
    pub created_at: Timestamp,
    /// When the request expires.
    pub expires_at: Timestamp,
    /// The account of the user. `None` if an instance of the previous version wrote the row.
    pub account_id: Option<Uuid>,
}

/// No relations: a pending authorization is found by its handle.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
