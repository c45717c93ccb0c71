//! Recent attempts per limited key.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A row of `attempt`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    /// HMAC of what is limited.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: Vec<u8>,
    /// Attempts that still count, oldest first.
    #[sea_orm(column_type = "JsonBinary")]
    pub hits: Hits,
    /// Those of them that have no verdict yet and are given back unless it is a failure. None if there are
    /// none.
    #[sea_orm(column_type = "JsonBinary")]
    pub under_way: Option<Hits>,
    /// When an attempt was last refused and that was recorded.
    pub refused_at: Option<Timestamp>,
    /// From when the row may be deleted.
    pub expires_at: Timestamp,
}

/// Times of attempts, in microseconds since the epoch, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Hits(pub Vec<i64>);

/// An attempt is related to nothing.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
