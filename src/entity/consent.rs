//! Consents that users have granted to clients.

use std::collections::BTreeMap;

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::entity::client::Texts;
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// A row of `consent`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "consent")]
pub struct Model {
    /// The account that granted the consent.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// The client to which the consent was granted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// The union of all granted scopes. Instances of the previous version read only this column.
    pub scope: Scope,
    /// When the consent was last granted.
    pub granted_at: Timestamp,
    /// The granted scopes per audience. `None` if the consent is older than this column. Such a
    /// consent applies to the client's default audience.
    #[sea_orm(column_type = "JsonBinary")]
    pub access: Option<ScopesByAudience>,
    /// The names of granted claims that no scope in `access` includes. `None` if there are no such
    /// claims. Instances of the previous version neither read nor write this column.
    #[sea_orm(column_type = "JsonBinary")]
    pub claims: Option<Texts>,
}

/// Scopes, by the audience for which they were granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct ScopesByAudience(pub BTreeMap<String, Scope>);

/// The tables to which a consent is related.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The client to which the consent was granted.
    #[sea_orm(
        belongs_to = "crate::entity::client::Entity",
        from = "Column::ClientId",
        to = "crate::entity::client::Column::Id"
    )]
    Client,
}

impl Related<crate::entity::client::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Client.def()
    }
}
