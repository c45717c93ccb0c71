//! Recent attempts, mails and wrong codes, for their limits: one row per limited action and
//! subject, such as a client address or an account.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A row of `attempt`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    /// HMAC of the limited action and its subject.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: Vec<u8>,
    /// Attempts that still count, oldest first.
    #[sea_orm(column_type = "JsonBinary")]
    pub hits: Hits,
    /// The attempts without a verdict. They will be refunded unless they fail. `None` if there are
    /// no such attempts.
    #[sea_orm(column_type = "JsonBinary")]
    pub under_way: Option<Hits>,
    /// When a refusal was last recorded.
    pub refused_at: Option<Timestamp>,
    /// When the row may be deleted.
    pub expires_at: Timestamp,
}

/// Times of attempts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Hits(pub Vec<Timestamp>);

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
