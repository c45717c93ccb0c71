//! Signing keys. The private keys are encrypted with the master key.

use sea_orm::entity::prelude::*;

use crate::timestamp::Timestamp;

/// A row of `signing_key`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "signing_key")]
pub struct Model {
    /// RFC 7638 thumbprint of the public key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kid: String,
    /// JWA name (RFC 7518 §3.1).
    pub algorithm: String,
    /// The state of the key in its lifecycle.
    pub state: KeyState,
    /// The public JWK as published.
    pub public_jwk: String,
    /// JWE of the private JWK (RFC 7517 §7).
    pub sealed_jwk: String,
    /// When the key was generated or imported.
    pub created_at: Timestamp,
    /// When the key became active.
    pub activated_at: Option<Timestamp>,
    /// When the key was retired. It has not signed since.
    pub retired_at: Option<Timestamp>,
    /// For a pending key, when it may become active.
    pub activate_at: Option<Timestamp>,
    /// For a retiring key, when no access token can need it any more.
    pub remove_at: Option<Timestamp>,
    /// When the key was revoked as compromised. None of its signatures are trusted.
    pub revoked_at: Option<Timestamp>,
}

/// The state of a key in its lifecycle. The states are stored under their names, so the names must
/// never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum KeyState {
    /// The key is published, but does not sign yet.
    Pending,
    /// The key signs. The database allows one active key.
    Active,
    /// The key is published for the tokens that it signed, but does not sign any more.
    Retiring,
    /// The key was removed from the key set.
    Removed,
}

impl KeyState {
    /// Whether the key set contains keys in this state.
    #[must_use]
    pub const fn is_published(self) -> bool {
        !matches!(self, Self::Removed)
    }

    /// The name of the state, as stored and as shown to operators.
    #[must_use]
    pub fn name(self) -> String {
        self.to_value()
    }
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Prints only the id, because rows may be logged by accident.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "signing_key({})", self.kid)
    }
}

impl Entity {
    /// Published keys, oldest first.
    #[must_use]
    pub fn find_published() -> Select<Self> {
        use sea_orm::QueryOrder;
        Self::find()
            .filter(Column::State.ne(KeyState::Removed))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Kid)
    }

    /// The removed keys that were not revoked, the most recently retired first. Their old
    /// signatures are still trusted.
    #[must_use]
    pub fn find_former(number: u64) -> Select<Self> {
        use sea_orm::{QueryOrder, QuerySelect};
        Self::find()
            .filter(Column::State.eq(KeyState::Removed))
            .filter(Column::RevokedAt.is_null())
            .order_by_desc(Column::RetiredAt)
            .order_by_asc(Column::Kid)
            .limit(number)
    }
}
