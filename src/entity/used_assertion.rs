//! What has been used and is accepted only once: client assertions (RFC 7523 §3), and forms with a
//! link or a code of a mail.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `used_assertion`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "used_assertion")]
pub struct Model {
    /// SHA-256 of the client ID and the `jti`, or the HMAC of the fields of a form.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// When the row may be deleted: the assertion has expired by then, or a repetition of the form
    /// is an error again.
    pub expires_at: Timestamp,
}

/// No relations: a row is found by its digest.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
