//! A key that signs at once, in the place of others that must not be believed any more.

use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use crate::domain::audit::Kind;
use crate::domain::keys::error::KeyRingError;
use crate::domain::keys::key_pair;
use crate::domain::keys::rows::{mark_revoked, record, write_row};
use crate::domain::keys::seal::Sealer;
use crate::entity::signing_key::{Column, Entity, KeyState, Model};
use crate::timestamp::Timestamp;

/// A new key that signs from now on. Making it takes a tenth of a second or more: not for
/// transactions.
///
/// # Errors
/// See [`KeyRingError`].
pub fn successor(sealer: &Sealer, bits: u32, now: Timestamp) -> Result<Model, KeyRingError> {
    let mut row = key_pair::generate(sealer, bits, now)?;
    row.state = KeyState::Active;
    row.activated_at = Some(now);
    Ok(row)
}

/// Writes a key that signs at once, as part of the transaction that takes the one before it out.
///
/// # Errors
/// If the database refuses.
pub(super) async fn introduce(
    txn: &impl ConnectionTrait,
    successor: &Model,
    now: Timestamp,
) -> Result<(), DbErr> {
    let kid = &successor.kid;
    write_row(txn, successor).await?;
    record(txn, Kind::KeyCreated, kid, now).await?;
    record(txn, Kind::KeyActivated, kid, now).await
}

/// Revokes all keys, those that are out of the key set included, and puts this one in their place.
///
/// # Errors
/// If the database refuses.
pub async fn replace_all(
    txn: &DatabaseTransaction,
    successor: &Model,
    now: Timestamp,
) -> Result<(), DbErr> {
    for row in Entity::find().filter(Column::RevokedAt.is_null()).all(txn).await? {
        mark_revoked(txn, &row, now).await?;
        record(txn, Kind::KeyRevoked, &row.kid, now).await?;
    }
    introduce(txn, successor, now).await
}
