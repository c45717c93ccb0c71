//! Immediate replacement of keys that must no longer be trusted.

use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use crate::domain::audit::Kind;
use crate::domain::keys::error::KeyRingError;
use crate::domain::keys::key_pair;
use crate::domain::keys::rows::{mark_revoked, record, write_row};
use crate::domain::keys::seal::Sealer;
use crate::entity::signing_key::{Column, Entity, KeyState, Model};
use crate::timestamp::Timestamp;

/// Generates the row of a key that is immediately active. This takes a tenth of a second or more,
/// so it must not be done in a transaction.
///
/// # Errors
/// See [`KeyRingError`].
pub fn successor(sealer: &Sealer, bits: u32, now: Timestamp) -> Result<Model, KeyRingError> {
    let mut row = key_pair::generate(sealer, bits, now)?;
    row.state = KeyState::Active;
    row.activated_at = Some(now);
    Ok(row)
}

/// Writes an immediately active key. Must run in the transaction that revokes its predecessor.
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

/// Revokes all keys, including keys that were removed from the key set, and replaces them with
/// `successor`.
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
