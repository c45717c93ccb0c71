//! SQLite: what is deleted must not stay in the bytes of its files.
//!
//! The writer overwrites what it deletes within a page at no cost (`secure_delete=FAST`). A transaction
//! that erases somebody also overwrites the pages it frees, and after it the write-ahead log, which has
//! older versions of its pages, is moved into the database file and truncated. PostgreSQL has its own
//! housekeeping.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
};

use crate::database::options::{Access, sqlite_options};

/// Has the statements of this transaction overwrite all that they delete, until [`overwrite_cheaply`].
///
/// # Errors
/// If the database refuses.
pub async fn overwrite_all(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    set(txn, "ON").await
}

/// Back to what the writer does otherwise.
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

/// Moves the write-ahead log of the database at `url` into its file, and truncates it. On a connection
/// of its own: the writer goes on, and waits for the last moment of it alone.
pub(super) async fn truncate_log(url: &str, wait: Duration) -> Result<(), DbErr> {
    let connection = Database::connect(sqlite_options(url, 1, Access::Write, wait)).await?;
    let truncated = checkpoint(&connection).await;
    connection.close().await?;
    truncated
}

/// The first one keeps nobody from writing, and leaves little to the second, which does.
async fn checkpoint(connection: &DatabaseConnection) -> Result<(), DbErr> {
    for mode in ["PASSIVE", "TRUNCATE"] {
        connection.execute_unprepared(&format!("PRAGMA wal_checkpoint({mode})")).await?;
    }
    Ok(())
}
