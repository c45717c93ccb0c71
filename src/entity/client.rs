//! Programs that may ask for tokens.

use sea_orm::FromJsonQueryResult;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockType, SimpleExpr};
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A row of `client`.
#[expect(clippy::struct_excessive_bools, reason = "columns, which do not depend on one another")]
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "client")]
pub struct Model {
    /// The `client_id`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What people are shown.
    pub name: String,
    /// `web` or `native`.
    pub application_type: String,
    /// How it proves who it is, in the words of RFC 7591 §2.
    pub auth_method: String,
    /// Its secret may come in the header or in the body, whichever of the two `auth_method` names.
    pub either_secret_method: bool,
    /// SHA-256 of its secret.
    pub secret_digest: Option<Vec<u8>>,
    /// SHA-256 of the secret before, while that is still accepted.
    pub previous_secret_digest: Option<Vec<u8>>,
    /// Its public keys, a JWK set.
    pub jwks: Option<String>,
    /// Where codes may be sent.
    #[sea_orm(column_type = "JsonBinary")]
    pub redirect_uris: Texts,
    /// Where people may be sent after they logged out.
    #[sea_orm(column_type = "JsonBinary")]
    pub post_logout_redirect_uris: Texts,
    /// Where it is told of logouts.
    pub backchannel_logout_uri: Option<String>,
    /// What it may exchange for tokens.
    #[sea_orm(column_type = "JsonBinary")]
    pub grants: Texts,
    /// What its tokens may be good for.
    #[sea_orm(column_type = "JsonBinary")]
    pub scopes: Texts,
    /// Whom its tokens may be for; the first if it does not say.
    #[sea_orm(column_type = "JsonBinary")]
    pub audiences: Texts,
    /// The audiences in whose name it may introspect tokens of others.
    #[sea_orm(column_type = "JsonBinary")]
    pub introspects: Texts,
    /// Life of its access tokens.
    pub access_token_seconds: i64,
    /// Whether it must prove that it began the flow (RFC 7636).
    pub pkce_required: bool,
    /// A nonce in its ID token will do for that (OAuth 2.1 §7.5.1).
    pub nonce_for_pkce: bool,
    /// What its scope opens is in the ID token, too, and not at userinfo alone.
    pub id_token_claims: bool,
    /// `ask` or `skip`.
    pub consent: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// Whether this very text is one of them.
    #[must_use]
    pub fn has(&self, text: &str) -> bool {
        self.0.iter().any(|one| one == text)
    }
}

/// A client's rows are found by its id.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The `consent` of a client that need not ask.
const SKIP: &str = "skip";

impl Entity {
    /// Locks a client on the registry until the commit; `false` if it is not there. Whoever begins something
    /// for it does so before they lock the account.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn lock_registered(txn: &impl ConnectionTrait, id: &str) -> Result<bool, DbErr> {
        let row = Self::find_by_id(id).lock(LockType::KeyShare).one(txn).await?;
        Ok(row.is_some())
    }

    /// What holds for a client that asks people; the opposite of [`Model::is_preapproved`].
    #[must_use]
    pub fn asks() -> SimpleExpr {
        Column::Consent.ne(SKIP)
    }
}

/// Says which row it is and no more: rows meet logs by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client({})", self.id)
    }
}

impl Model {
    /// Whether it can keep a secret or a key, and so must prove who it is (RFC 6749 §2.1).
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.auth_method != "none"
    }

    /// Whether it may prove who it is by this method (RFC 7591 §2).
    #[must_use]
    pub fn authenticates_by(&self, method: &str) -> bool {
        let is_by_secret = |method: &str| method.starts_with("client_secret_");
        self.auth_method == method
            || (self.either_secret_method
                && is_by_secret(method)
                && is_by_secret(&self.auth_method))
    }

    /// Whether it runs on a person's own device (RFC 8252).
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.application_type == "native"
    }

    /// Whether people have been asked on its behalf by whoever registered it.
    #[must_use]
    pub fn is_preapproved(&self) -> bool {
        self.consent == SKIP
    }
}
