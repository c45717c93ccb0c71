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
    /// The account that granted it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// The client it was granted to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// The union of all granted scopes. Instances of the previous version read only this.
    pub scope: Scope,
    /// When it was last granted.
    pub granted_at: Timestamp,
    /// The granted scopes per audience. `None` if the consent predates this column: it then applies
    /// to the client's default audience.
    #[sea_orm(column_type = "JsonBinary")]
    pub access: Option<ScopesByAudience>,
    /// Granted individual claims, by name, that no scope in `access` includes. Instances of the
    /// previous version neither read nor write them. `None` if there are none.
    #[sea_orm(column_type = "JsonBinary")]
    pub claims: Option<Texts>,
}

/// Scopes, by the audience they were granted for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct ScopesByAudience(pub BTreeMap<String, Scope>);

/// The tables a consent is related to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The client it was granted to.
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
