//! Queries and updates of signing key rows.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, QueryOrder, QuerySelect, Set,
};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::keys::error::KeyRingError;
use crate::domain::keys::seal::Sealer;
use crate::entity::signing_key::{self, Entity, KeyState, Model};
use crate::timestamp::Timestamp;

/// Whether the database has a key that was encrypted with a master key.
///
/// # Errors
/// If the database refuses.
pub async fn any_sealed(db: &Db) -> Result<bool, DbErr> {
    // Only one column is selected, because the check runs before the schema is migrated.
    let kids = signing_key::Entity::find()
        .select_only()
        .column(signing_key::Column::Kid)
        .into_tuple::<String>();
    let kid = db.read(|db| async move { kids.one(&db).await }).await?;
    Ok(kid.is_some())
}

/// Checks that the master key can decrypt all keys in the database. Changes nothing.
///
/// # Errors
/// [`KeyRingError::Sealed`] names the first key that cannot be decrypted.
pub async fn check_sealed(db: &Db, sealer: &Sealer) -> Result<(), KeyRingError> {
    db.read(|db| async move { Ok(sealed_kids(&db, sealer).await) }).await?.map(drop)
}

/// Checks as [`check_sealed`] does, on a connection, and returns the ids of all keys, oldest first.
///
/// # Errors
/// As [`check_sealed`].
pub async fn sealed_kids(
    connection: &impl ConnectionTrait,
    sealer: &Sealer,
) -> Result<Vec<String>, KeyRingError> {
    let keys = signing_key::Entity::find()
        .select_only()
        .columns([signing_key::Column::Kid, signing_key::Column::SealedJwk])
        .order_by_asc(signing_key::Column::CreatedAt)
        .order_by_asc(signing_key::Column::Kid)
        .into_tuple::<(String, String)>();
    let open = |(kid, sealed): (String, String)| match sealer.open(&sealed) {
        Some(_) => Ok(kid),
        None => Err(KeyRingError::Sealed(kid)),
    };
    keys.all(connection).await?.into_iter().map(open).collect()
}

/// The decrypted private JWK of a key.
pub(super) fn private_jwk(sealer: &Sealer, row: &Model) -> Result<Vec<u8>, KeyRingError> {
    let jwk = sealer.open(&row.sealed_jwk);
    jwk.ok_or_else(|| KeyRingError::Sealed(row.kid.clone()))
}

pub(super) async fn mark_revoked(
    txn: &impl ConnectionTrait,
    row: &Model,
    now: Timestamp,
) -> Result<(), DbErr> {
    let was_published = row.state.is_published();
    let revoked = signing_key::ActiveModel {
        kid: Set(row.kid.clone()),
        state: Set(KeyState::Removed),
        remove_at: Set(if was_published { Some(now) } else { row.remove_at }),
        revoked_at: Set(Some(now)),
        ..Default::default()
    };
    revoked.update(txn).await?;
    Ok(())
}

pub(super) async fn write_row(txn: &impl ConnectionTrait, row: &Model) -> Result<(), DbErr> {
    let row = signing_key::ActiveModel::from(row.clone()).reset_all();
    Entity::insert(row).exec_without_returning(txn).await?;
    Ok(())
}

pub(super) async fn record(
    txn: &impl ConnectionTrait,
    event: Kind,
    kid: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(event).reason(format!("kid {kid}")).record(txn, &Origin::default(), now).await
}
