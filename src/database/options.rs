//! Connection options: timeouts, and the settings of each database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::error::RuntimeErr;
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

use crate::database::job::sqlite_code;

/// How long opening a SQLite file is retried while another process writes the file, as when two
/// processes create it at the same time.
const START_WAIT: Duration = Duration::from_secs(5);

/// Timeout for opening a PostgreSQL connection.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// `idle_in_transaction_session_timeout` in milliseconds. It bounds how long a suspended instance
/// holds its locks, and leaves a busy instance enough time to send its next statement.
const IDLE_TRANSACTION_MS: &str = "3000";

/// Longest wait for a lock, in milliseconds. A transaction that times out returns its connection
/// and is retried, so that waiting for a contended row does not exhaust the pool.
const LOCK_WAIT_MS: u128 = 1000;

/// `SQLITE_BUSY`: another process has locked the file.
const BUSY: u32 = 5;

/// What the connections of a pool are used for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Options that all pools have in common.
///
/// Statements are logged at debug level at most, because operators have no use for them.
///
/// Connections have no idle timeout and no maximum lifetime. With either, sqlx 0.9.0 runs a
/// maintenance task in each pool. This task may loop forever (sqlx issue 3645), which occupies a
/// thread and blocks shutdown.
pub(super) fn basic(options: &mut ConnectOptions) -> &mut ConnectOptions {
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
}

pub(super) fn sqlite_options(
    url: &str,
    connections: u32,
    access: Access,
    wait: Duration,
) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    basic(&mut options)
        .max_connections(connections)
        .min_connections(connections)
        .acquire_timeout(wait)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .busy_timeout(wait)
                .foreign_keys(true)
                .statement_cache_capacity(64)
                .pragma("trusted_schema", "OFF")
                .pragma("cache_size", "-2000");
            match access {
                Access::Read => sqlite.read_only(true),
                // FULL: an acknowledged write survives a power failure (docs/decisions.md).
                Access::Write => sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("journal_size_limit", "67108864")
                    .pragma("secure_delete", "FAST"),
            }
        });
    options
}

/// Connects, and retries while another process writes the SQLite file, as when two processes create
/// it at the same time. SQLite itself does not wait in this case, but immediately refuses to turn
/// on the write-ahead log of the file.
pub(super) async fn connect_with_retry(
    options: ConnectOptions,
) -> Result<DatabaseConnection, DbErr> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if sqlite_code(&error) == Some(BUSY) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}

/// Closes all connections of a pool, and logs a failure.
pub(super) async fn close(connections: &DatabaseConnection) {
    if let Err(error) = connections.close_by_ref().await {
        tracing::warn!(%error, "closing the database failed");
    }
}

pub(super) fn postgres_options(url: &str, connections: u32, wait: Duration) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    let lock_wait = wait.as_millis().min(LOCK_WAIT_MS).to_string();
    basic(&mut options)
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(CONNECT_WAIT)
        .acquire_timeout(wait)
        // The server cancels a statement when the request times out.
        .statement_timeout(wait)
        .set_application_name("signet")
        .map_sqlx_postgres_opts(move |postgres| {
            postgres.options([
                // If the network fails, a transaction must not hold its locks until TCP detects it.
                ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_MS),
                ("lock_timeout", &lock_wait),
                // Row locks and unique constraints decide races. At a stricter level, which a
                // database may have as its default, most concurrent logins would fail with 40001.
                ("default_transaction_isolation", "read committed"),
            ])
        })
        // Otherwise sqlx would log a line per request under overload. Overload is already counted,
        // and recorded as one outage.
        .map_sqlx_postgres_pool_opts(|pool| pool.acquire_slow_threshold(Duration::MAX))
        .test_before_acquire(false);
    options
}

/// Why no connection to PostgreSQL can be opened. The pool itself only reports a timeout.
pub(super) async fn connection_error(url: &str) -> Option<DbErr> {
    let options: PgConnectOptions = url.parse().ok()?;
    let attempt = tokio::time::timeout(CONNECT_WAIT, options.connect()).await.ok()?;
    attempt.err().map(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With either limit, sqlx runs a maintenance task in each pool. This task may loop forever.
    #[test]
    fn pools_limit_neither_idle_time_nor_lifetime() {
        let sqlite = sqlite_options("sqlite::memory:", 1, Access::Write, Duration::ZERO);
        let postgres = postgres_options("postgres://localhost/signet", 1, Duration::ZERO);
        for options in [sqlite, postgres] {
            assert_eq!(options.get_idle_timeout(), Some(None));
            assert_eq!(options.get_max_lifetime(), Some(None));
        }
    }
}
