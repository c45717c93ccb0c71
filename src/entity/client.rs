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
    /// The type of application.
    pub application_type: ApplicationType,
    /// The client authentication method.
    pub auth_method: AuthMethod,
    /// Whether the client may send the secret in the header or in the body, although `auth_method`
    /// names only one of them.
    pub either_secret_method: bool,
    /// SHA-256 of the secret.
    pub secret_digest: Option<Vec<u8>>,
    /// SHA-256 of the previous secret, as long as that secret is accepted.
    pub previous_secret_digest: Option<Vec<u8>>,
    /// The client's public keys, a JWK set.
    pub jwks: Option<String>,
    /// Redirect URIs of the authorization endpoint.
    #[sea_orm(column_type = "JsonBinary")]
    pub redirect_uris: Texts,
    /// Redirect URIs after logout.
    #[sea_orm(column_type = "JsonBinary")]
    pub post_logout_redirect_uris: Texts,
    /// Where back-channel logout tokens are sent.
    pub backchannel_logout_uri: Option<String>,
    /// The grant types that the client may use.
    #[sea_orm(column_type = "JsonBinary")]
    pub grants: Texts,
    /// The scopes that the client may request.
    #[sea_orm(column_type = "JsonBinary")]
    pub scopes: Texts,
    /// The audiences that the client may request. The first is the default.
    #[sea_orm(column_type = "JsonBinary")]
    pub audiences: Texts,
    /// The audiences for which the client may introspect tokens of other clients.
    #[sea_orm(column_type = "JsonBinary")]
    pub introspects: Texts,
    /// The lifetime of the client's access tokens.
    pub access_token_seconds: i64,
    /// Whether PKCE is required (RFC 7636).
    pub pkce_required: bool,
    /// Whether a `nonce` for ID tokens is accepted instead of PKCE (OAuth 2.1 §7.5.1).
    pub nonce_for_pkce: bool,
    /// Whether ID tokens contain the claims of the scope, which userinfo responses always contain.
    pub id_token_claims: bool,
    /// Whether users are asked for consent.
    pub consent: ConsentPolicy,
    /// When the client was registered.
    pub created_at: Timestamp,
    /// When the client was last changed.
    pub updated_at: Timestamp,
}

/// The type of an application (OpenID Connect Dynamic Client Registration 1.0 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ApplicationType {
    /// The application runs on a server or in a browser.
    Web,
    /// The application runs on a user's device (RFC 8252).
    Native,
}

/// A client authentication method (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AuthMethod {
    /// The secret in the header.
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// A JWT that the client signed.
    PrivateKeyJwt,
    /// The client is public, and does not authenticate.
    None,
}

impl AuthMethod {
    /// Whether the client has a secret.
    #[must_use]
    pub const fn is_by_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// Whether users are asked before a client gets access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ConsentPolicy {
    /// Users are asked.
    Ask,
    /// Users are not asked, because the operator has approved the client.
    Skip,
}

/// A list of strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// Whether the list contains exactly this string.
    #[must_use]
    pub fn has(&self, text: &str) -> bool {
        self.0.iter().any(|it| it == text)
    }
}

/// No relations: clients are found by id.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl Entity {
    /// Locks a registered client, so that it is not removed before the commit. Returns false if the
    /// client does not exist.
    /// Transactions that create rows for the client lock the client before the account.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn lock_registered(txn: &impl ConnectionTrait, id: &str) -> Result<bool, DbErr> {
        let row = Self::find_by_id(id).lock(LockType::KeyShare).one(txn).await?;
        Ok(row.is_some())
    }

    /// The condition for clients that need the consent of users; the opposite of
    /// [`Model::is_preapproved`].
    #[must_use]
    pub fn needs_consent() -> SimpleExpr {
        Column::Consent.ne(ConsentPolicy::Skip)
    }
}

/// Prints only the id, because rows may be logged by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client({})", self.id)
    }
}

impl Model {
    /// Whether the client is confidential, and must authenticate (RFC 6749 §2.1).
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.auth_method != AuthMethod::None
    }

    /// Whether the client may authenticate by this method.
    #[must_use]
    pub fn authenticates_by(&self, method: AuthMethod) -> bool {
        let is_either = self.either_secret_method && self.auth_method.is_by_secret();
        self.auth_method == method || (is_either && method.is_by_secret())
    }

    /// The scope that the client may request.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scopes.0.iter().map(String::as_str).collect()
    }

    /// Whether the client is a native app (RFC 8252).
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.application_type == ApplicationType::Native
    }

    /// The lifetime of the client's access tokens.
    #[must_use]
    pub fn access_token_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds.unsigned_abs())
    }

    /// Whether users are not asked for consent, because the operator has approved the client.
    #[must_use]
    pub fn is_preapproved(&self) -> bool {
        self.consent == ConsentPolicy::Skip
    }
}
