//! Signing keys, their private halves encrypted with the master key.

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
    /// Its state in the lifecycle.
    pub state: KeyState,
    /// The public JWK as published.
    pub public_jwk: String,
    /// JWE of the private JWK (RFC 7517 §7).
    pub sealed_jwk: String,
    /// When it was generated or imported.
    pub created_at: Timestamp,
    /// When it became active.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// When it may become active; for pending keys.
    pub activate_at: Option<Timestamp>,
    /// When no access token can need it any more; for retiring keys.
    pub remove_at: Option<Timestamp>,
    /// When it was revoked as compromised: nothing it signed is trusted.
    pub revoked_at: Option<Timestamp>,
}

/// The state of a key in its lifecycle. Stored under its name, which must therefore never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum KeyState {
    /// Published, not signing yet.
    Pending,
    /// Signing. The database allows one such key.
    Active,
    /// Published for the tokens it signed, but no longer signing.
    Retiring,
    /// Removed from the key set.
    Removed,
}

impl KeyState {
    /// Whether the key set contains keys in this state.
    #[must_use]
    pub const fn is_published(self) -> bool {
        !matches!(self, Self::Removed)
    }

    /// Its name, as stored and as shown to operators.
    #[must_use]
    pub fn name(self) -> String {
        self.to_value()
    }
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Prints only the id: rows end up in logs by accident.
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

    /// The most recently removed keys that were not revoked: their old signatures are still
    /// trusted.
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
