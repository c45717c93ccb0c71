//! Registered clients.

use std::time::Duration;

use sea_orm::FromJsonQueryResult;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockType, SimpleExpr};
use serde::{Deserialize, Serialize};

use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// A row of `client`.
#[expect(clippy::struct_excessive_bools, reason = "columns, which do not depend on one another")]
#[derive(Clone, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "client")]
pub struct Model {
    /// The `client_id`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The name shown to users.
    pub name: String,
    /// `web` or `native`.
    pub application_type: String,
    /// Its client authentication method, in the terms of RFC 7591 §2.
    pub auth_method: String,
    /// Accepts the secret in the header or in the body, whichever of the two `auth_method` names.
    pub either_secret_method: bool,
    /// SHA-256 of its secret.
    pub secret_digest: Option<Vec<u8>>,
    /// SHA-256 of the previous secret, while that is still accepted.
    pub previous_secret_digest: Option<Vec<u8>>,
    /// Its public keys, a JWK set.
    pub jwks: Option<String>,
    /// Redirect URIs of the authorization endpoint.
    #[sea_orm(column_type = "JsonBinary")]
    pub redirect_uris: Texts,
    /// Redirect URIs after logout.
    #[sea_orm(column_type = "JsonBinary")]
    pub post_logout_redirect_uris: Texts,
    /// Where back-channel logout tokens are sent.
    pub backchannel_logout_uri: Option<String>,
    /// The grant types it may use.
    #[sea_orm(column_type = "JsonBinary")]
    pub grants: Texts,
    /// The scopes it may request.
    #[sea_orm(column_type = "JsonBinary")]
    pub scopes: Texts,
    /// The audiences it may request; the first is the default.
    #[sea_orm(column_type = "JsonBinary")]
    pub audiences: Texts,
    /// The audiences for which it may introspect tokens of other clients.
    #[sea_orm(column_type = "JsonBinary")]
    pub introspects: Texts,
    /// Lifetime of its access tokens.
    pub access_token_seconds: i64,
    /// Whether PKCE is required (RFC 7636).
    pub pkce_required: bool,
    /// Accepts a `nonce` for ID tokens instead of PKCE (OAuth 2.1 §7.5.1).
    pub nonce_for_pkce: bool,
    /// Claims of its scope are in the ID token, not only at userinfo.
    pub id_token_claims: bool,
    /// `ask` or `skip`.
    pub consent: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A list of strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// Whether the list contains exactly this string.
    #[must_use]
    pub fn has(&self, text: &str) -> bool {
        self.0.iter().any(|one| one == text)
    }
}

/// No relations: clients are found by id.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// The `consent` value of a client that does not ask for consent.
const SKIP: &str = "skip";

impl Entity {
    /// Locks a registered client until the commit; `false` if it does not exist. Transactions that
    /// create something for the client lock it before the account.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn lock_registered(txn: &impl ConnectionTrait, id: &str) -> Result<bool, DbErr> {
        let row = Self::find_by_id(id).lock(LockType::KeyShare).one(txn).await?;
        Ok(row.is_some())
    }

    /// The condition for clients that ask for consent; the opposite of [`Model::is_preapproved`].
    #[must_use]
    pub fn asks() -> SimpleExpr {
        Column::Consent.ne(SKIP)
    }
}

/// Prints only the id: rows end up in logs by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client({})", self.id)
    }
}

impl Model {
    /// Whether it is a confidential client, which must authenticate (RFC 6749 §2.1).
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.auth_method != "none"
    }

    /// Whether it may authenticate by this method (RFC 7591 §2).
    #[must_use]
    pub fn authenticates_by(&self, method: &str) -> bool {
        let is_by_secret = |method: &str| method.starts_with("client_secret_");
        self.auth_method == method
            || (self.either_secret_method
                && is_by_secret(method)
                && is_by_secret(&self.auth_method))
    }

    /// The scope that it may request.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scopes.0.iter().map(String::as_str).collect()
    }

    /// Whether it is a native app (RFC 8252).
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.application_type == "native"
    }

    /// The lifetime of its access tokens.
    #[must_use]
    pub fn access_token_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds.unsigned_abs())
    }

    /// Whether it skips consent because the operator has approved it.
    #[must_use]
    pub fn is_preapproved(&self) -> bool {
        self.consent == SKIP
    }
}
