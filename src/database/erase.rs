//! Secure deletion on SQLite: deleted data must not remain in the bytes of its files.
//!
//! The writer overwrites deleted data within a page at no cost (`secure_delete=FAST`). A
//! transaction that erases an account also overwrites the pages that it frees. Afterwards, the
//! write-ahead log, which contains older versions of the pages, is checkpointed into the database
//! file and truncated. On PostgreSQL, vacuum reclaims deleted data.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
};

use crate::database::options::{Access, sqlite_options};

/// Makes this transaction overwrite all data that it deletes, until [`overwrite_cheaply`].
///
/// # Errors
/// If the database refuses.
pub async fn overwrite_all(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    set(txn, "ON").await
}

/// Restores the writer's default.
///
/// # Errors
/// If the database refuses.
pub async fn overwrite_cheaply(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    set(txn, "FAST").await
}

async fn set(txn: &DatabaseTransaction, mode: &str) -> Result<(), DbErr> {
    if txn.get_database_backend() == DbBackend::Sqlite {
        txn.execute_unprepared(&format!("PRAGMA secure_delete = {mode}")).await?;
    }
    Ok(())
}

/// Checkpoints the write-ahead log of the database at `url` into the database file, and truncates
/// the log. It uses a separate connection, so the writer continues and is blocked only briefly at
/// the end.
pub(super) async fn truncate_log(url: &str, wait: Duration) -> Result<(), DbErr> {
    let connection = Database::connect(sqlite_options(url, 1, Access::Write, wait)).await?;
    let truncated = checkpoint(&connection).await;
    connection.close().await?;
    truncated
}

/// The passive checkpoint does not block writers. The truncating checkpoint blocks them, but little
/// work is left for it.
async fn checkpoint(connection: &DatabaseConnection) -> Result<(), DbErr> {
    for mode in ["PASSIVE", "TRUNCATE"] {
        connection.execute_unprepared(&format!("PRAGMA wal_checkpoint({mode})")).await?;
    }
    Ok(())
}
