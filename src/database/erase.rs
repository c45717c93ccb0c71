//! Secure deletion on SQLite: deleted data must not remain in the bytes of its files.
//!
//! The writer overwrites deleted data within a page at no cost (`secure_delete=FAST`). A
//! transaction that erases an account also overwrites the pages that it frees. Afterwards, the
//! write-ahead log, which contains older versions of the pages, is checkpointed into the database
//! file and truncated. On PostgreSQL, vacuum reclaims deleted data.

use std::time::{Duration, Instant};

use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
};

use crate::database::options::{Access, sqlite_options};
use crate::database::sql;

/// Pause between two attempts to truncate the log.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

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
///
/// # Errors
/// If the log could not be truncated within about `wait`, because it was in use.
pub(super) async fn truncate_log(url: &str, wait: Duration) -> Result<(), DbErr> {
    let connection = Database::connect(sqlite_options(url, 1, Access::Write, wait)).await?;
    let truncated = checkpoint(&connection, wait).await;
    connection.close().await?;
    truncated
}

/// The passive checkpoint does not block writers. The truncating checkpoint blocks them, but little
/// work is left for it. The truncating checkpoint does nothing while another connection
/// checkpoints, or while a transaction reads an older version of a page for longer than the busy
/// timeout. SQLite then says so in a column of its response, and reports no error.
async fn checkpoint(connection: &DatabaseConnection, wait: Duration) -> Result<(), DbErr> {
    connection.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await?;
    let deadline = Instant::now() + wait;
    loop {
        let is_busy = sql::first(connection, "PRAGMA wal_checkpoint(TRUNCATE)", []).await?;
        if is_busy == Some(0_i32) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(DbErr::Custom("the write-ahead log is in use".to_owned()));
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::TransactionTrait;
    use tempfile::TempDir;

    use super::*;

    /// W14: a log that another transaction reads is not taken for a truncated one.
    #[tokio::test(flavor = "multi_thread")]
    async fn log_in_use_is_an_error_and_truncated_later() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("signet.db");
        let url = format!("sqlite:{}?mode=rwc", file.display());
        let options = sqlite_options(&url, 2, Access::Write, Duration::from_secs(1));
        let connections = Database::connect(options).await.unwrap();
        connections.execute_unprepared("CREATE TABLE t (x)").await.unwrap();
        let reader = connections.begin().await.unwrap();
        let rows = "SELECT count(*) FROM t";
        assert_eq!(sql::first::<i64>(&reader, rows, []).await.unwrap(), Some(0));
        connections.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap();
        let log = || file.with_file_name("signet.db-wal").metadata().unwrap().len();

        let in_use = truncate_log(&url, Duration::from_millis(100)).await;
        let remaining = log();
        reader.rollback().await.unwrap();
        let truncated = truncate_log(&url, Duration::from_millis(100)).await;

        assert!(in_use.is_err() && remaining > 0, "{in_use:?}, {remaining} bytes");
        assert!(truncated.is_ok() && log() == 0, "{truncated:?}, {} bytes", log());
    }
}
