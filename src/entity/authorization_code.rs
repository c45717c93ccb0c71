//! Authorization codes (RFC 6749 §1.3.1): good once, and for a minute.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A row of `authorization_code`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_code")]
pub struct Model {
    /// SHA-256 of the code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// Who may redeem it.
    pub client_id: String,
    /// Who allowed it.
    pub account_id: Uuid,
    /// The browser's login in which it was allowed.
    pub browser_session_id: Uuid,
    /// Where it was sent.
    pub redirect_uri: String,
    /// What was granted, space-separated.
    pub scope: String,
    /// Whom the tokens will be for, space-separated.
    pub audience: String,
    /// What the ID token is to repeat.
    pub nonce: Option<String>,
    /// What the redeemer must know the origin of (RFC 7636), always by `S256`.
    pub code_challenge: Option<String>,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// From when it is good for nothing.
    pub expires_at: Timestamp,
    /// When it was used.
    pub redeemed_at: Option<Timestamp>,
    /// The session that came of it.
    pub session_id: Option<Uuid>,
    /// What was asked for by name. None if that is nothing.
    #[sea_orm(column_type = "JsonBinary")]
    pub claims: Option<AskedClaims>,
}

/// Standard claims that were asked for by name (OpenID Connect Core 1.0 §5.5), by where they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(default)]
pub struct AskedClaims {
    /// At userinfo.
    pub userinfo: Vec<String>,
    /// In ID tokens.
    pub id_token: Vec<String>,
}

/// A code is found by its digest.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
