//! Authorization codes (RFC 6749 §1.3.1): single use, valid for a minute.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::scope::{Audiences, Scope};
use crate::timestamp::Timestamp;

/// A row of `authorization_code`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "authorization_code")]
pub struct Model {
    /// SHA-256 of the code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    /// The client to which the code was issued.
    pub client_id: String,
    /// The account that granted the code.
    pub account_id: Uuid,
    /// The browser session in which the code was granted.
    pub browser_session_id: Uuid,
    /// The redirect URI to which the code was sent.
    pub redirect_uri: String,
    /// The granted scope.
    pub scope: Scope,
    /// The audiences of the tokens.
    pub audience: Audiences,
    /// The `nonce` for the ID token.
    pub nonce: Option<String>,
    /// The PKCE challenge (RFC 7636), always with `S256`.
    pub code_challenge: Option<String>,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// When the code expires.
    pub expires_at: Timestamp,
    /// When the code was used.
    pub redeemed_at: Option<Timestamp>,
    /// The session that was opened with the code.
    pub session_id: Option<Uuid>,
    /// The claims that the client requested by name. `None` if it requested none.
    #[sea_orm(column_type = "JsonBinary")]
    pub claims: Option<RequestedClaims>,
}

/// The names of standard claims that a client requested with the parameter `claims` (OpenID Connect
/// Core 1.0 §5.5), by the place in which they are returned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(default)]
pub struct RequestedClaims {
    /// In userinfo responses.
    pub userinfo: Vec<String>,
    /// In ID tokens.
    pub id_token: Vec<String>,
}

/// No relations: a code is found by its digest.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
