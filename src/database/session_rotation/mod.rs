//! The statements of refreshes that share a transaction. They are hand-written, because the query
//! builder cannot update several rows with different values in one statement.

mod postgres;
mod rows;
mod sqlite;

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult};
use uuid::Uuid;

pub use crate::database::session_rotation::rows::{SessionRotation, SessionRotations};

/// Locks these sessions, without waiting. Skips sessions that are already locked. Returns the IDs
/// of the sessions that it has locked. On SQLite, which has a single writer, these are all.
///
/// # Errors
/// If the database refuses.
pub async fn lock_unlocked(
    txn: &DatabaseTransaction,
    ids: Vec<Uuid>,
) -> Result<HashSet<Uuid>, DbErr> {
    match txn.get_database_backend() {
        DbBackend::Postgres => postgres::lock_unlocked(txn, ids).await,
        _ => Ok(ids.into_iter().collect()),
    }
}

/// Rotates each session that is live and whose newest token was presented. Makes the same changes
/// under the same conditions as a single refresh, and writes the same audit event for each session.
/// Returns the rows of the rotated sessions, with the additional columns `address_of_account` and
/// `is_address_verified`.
///
/// # Errors
/// If the database refuses.
pub async fn rotate(
    txn: &DatabaseTransaction,
    rotations: SessionRotations,
) -> Result<Vec<QueryResult>, DbErr> {
    match txn.get_database_backend() {
        DbBackend::Postgres => postgres::rotate(txn, &rotations).await,
        _ => sqlite::rotate(txn, &rotations).await,
    }
}
