//! What people have allowed which client.

use std::collections::BTreeMap;

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::entity::client::Texts;
use crate::timestamp::Timestamp;

/// A row of `consent`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "consent")]
pub struct Model {
    /// Who allowed it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// Whom.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    /// All of it together, space-separated. Instances of the version before read no more than this.
    pub scope: String,
    /// When it was last said.
    pub granted_at: Timestamp,
    /// What, by whom the tokens are for. None if that was said before audiences were told apart: it
    /// is for the client's default audience.
    #[sea_orm(column_type = "JsonBinary")]
    pub access: Option<ScopesByAudience>,
    /// Single claims, by name, that no scope in `access` opens. Instances of the version before neither
    /// read nor write them. None if there are none.
    #[sea_orm(column_type = "JsonBinary")]
    pub claims: Option<Texts>,
}

/// Scopes, space-separated, by the audience that they were allowed for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct ScopesByAudience(pub BTreeMap<String, String>);

/// The tables a consent is related to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Whom it is for.
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

impl ActiveModelBehavior for ActiveModel {}
