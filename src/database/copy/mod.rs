//! Copies a database to an empty one, between SQLite and PostgreSQL in both directions.
//!
//! 1. A transaction on the source blocks all writes to it.
//! 2. The target gets the schema and the mark "incomplete", in one transaction.
//! 3. The transaction on the source reads every table in portions, which are written to the target.
//! 4. The target is read again, and the number of rows and a digest of each table are compared.
//! 5. The transaction on the source marks it as moved and is committed. Then the mark of the target
//!    is removed.
//!
//! If the process ends before the commit of step 5, the source is unchanged, and the target is not
//! served. If it ends after the commit and before the target's mark is removed, neither is served
//! until `signet database copy --undo`.

pub(in crate::database) mod mark;
mod rows;
mod tables;

use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::copy::mark::Mark;
use crate::database::copy::rows::Reader;
use crate::database::copy::tables::Table;
use crate::database::db::{Db, lift_timeouts};
use crate::database::file::ConnectError;
use crate::database::moved;
use crate::database::options::{
    Access, close, connect_with_retry, postgres_options, sqlite_options,
};
use crate::database::serve_lock::{ServeLock, ServeLockError};
use crate::database::sql;
use crate::timestamp::Timestamp;

pub use rows::Digest;

/// Counts the instances that may be running. Each instance with a row in `instance` sends a
/// heartbeat every second. If a lease has not expired, all rows count. Otherwise, those count whose
/// last heartbeat is at most ten seconds old. An instance that stops cleanly deletes its row, so it
/// does not count even if its lease has not expired.
const COUNT_INSTANCES: &str = "SELECT count(*) FROM instance, \
     (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) clock \
     WHERE beat_at > now - 10000000 OR EXISTS (SELECT 1 FROM lease WHERE expires_at > now)";

/// Why a copy of a database, or its undo, failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A server uses the database.
    #[error(
        "a server uses the database {0}: stop all instances first (one that was killed counts for \
         10 seconds, or until its lease ends). Nothing was copied"
    )]
    Served(String),
    /// The target has tables.
    #[error(
        "the target {0} is not empty: name an empty database, or a file that does not exist. \
         Nothing was copied"
    )]
    NotEmpty(String),
    /// The schemas differ.
    #[error("the table {0} of the source differs from that of this version. Nothing was copied")]
    Schema(String),
    /// The target does not contain what was written to it.
    #[error(
        "the table {0} of the target differs from that of the source: the copy is incomplete and \
         is not served, and the source is unchanged. Copy again"
    )]
    Differs(String),
    /// A copy cannot be undone, because the database has no mark of a moved source.
    #[error("the database is not marked as moved. Nothing was changed")]
    NotMoved,
    /// A database cannot be opened.
    #[error("cannot open the database {0}: {1}")]
    Connect(String, String),
    /// A lock cannot be taken.
    #[error(transparent)]
    Lock(ServeLockError),
    /// The source cannot be read, or its mark cannot be written. After a failed commit it is
    /// unknown whether the source is marked.
    #[error(
        "the source cannot be read or marked: {0}. Its rows are unchanged. If `serve` then refuses \
         it as moved, run `signet database copy --undo` on it"
    )]
    Source(DbErr),
    /// The target cannot be read or written.
    #[error(
        "the target cannot be read or written: {0}. The source is unchanged, and the target is not \
         served"
    )]
    Target(DbErr),
    /// Everything was copied, and the target still has its mark.
    #[error(
        "the target is complete, but its mark \"incomplete\" cannot be removed: {0}. The source is \
         marked as moved. Run `signet database copy --undo` on the source, and copy again"
    )]
    Release(DbErr),
}

/// A copied table.
#[derive(Debug)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// Its rows, which are the same in both databases.
    pub digest: Digest,
}

/// Copies all tables, and marks the source as moved. The schema of the source must be of this
/// version. An incomplete copy at the target is replaced.
///
/// # Errors
/// See [`CopyError`].
pub async fn copy_database(
    from: &DatabaseSettings,
    to: &DatabaseSettings,
    clock: &Clock,
) -> Result<Vec<CopiedTable>, CopyError> {
    let _locks = (lock(from).await?, lock(to).await?);
    let source = open(from).await?;
    let txn = begin(&source).await.map_err(CopyError::Source)?;
    if lock_and_check_served(&txn).await.map_err(CopyError::Source)? {
        return Err(CopyError::Served(from.database_url.without_password()));
    }
    let target = prepare_target(from, to, clock.now()).await?;
    let tables = tables::all(&target).await.map_err(CopyError::Target)?;
    check_schema(&txn, &tables).await?;
    let copied = copy_tables(&txn, &target, &tables).await?;
    let now = clock.now();
    let moved = Mark::Moved(to.database_url.without_password());
    moved.set(&txn, now).await.map_err(CopyError::Source)?;
    txn.commit().await.map_err(CopyError::Source)?;
    mark::clear(&target).await.map_err(CopyError::Release)?;
    close(&source).await;
    close(&target).await;
    Ok(copied)
}

/// Removes the mark of a source, so that it is served again.
///
/// # Errors
/// See [`CopyError`].
pub async fn undo_copy(db: &Db) -> Result<(), CopyError> {
    match db.read(|db| async move { mark::read(&db).await }).await.map_err(CopyError::Source)? {
        Some(Mark::Moved(_)) => {}
        Some(Mark::Incomplete(_)) | None => return Err(CopyError::NotMoved),
    }
    let db = db.despite_mark();
    let cleared = db.write((), |txn, _, ()| Box::pin(async move { mark::clear(txn).await })).await;
    cleared.map_err(CopyError::Source)
}

/// Prevents a server from starting on a SQLite file.
async fn lock(settings: &DatabaseSettings) -> Result<ServeLock, CopyError> {
    ServeLock::take(settings, Duration::ZERO).await.map_err(|error| match error {
        ServeLockError::InUse { .. } => CopyError::Served(settings.database_url.without_password()),
        other => CopyError::Lock(other),
    })
}

async fn open(settings: &DatabaseSettings) -> Result<DatabaseConnection, CopyError> {
    let failed = |error| {
        let cause = match ConnectError::from(error) {
            ConnectError::Connect(cause) => cause,
            other => other.to_string(),
        };
        CopyError::Connect(settings.database_url.without_password(), cause)
    };
    let url = settings.database_url.expose();
    let wait = Duration::from_secs(settings.database_wait_seconds);
    if settings.database_url.sqlite_file().is_none() {
        return Database::connect(postgres_options(url, 1, wait)).await.map_err(failed);
    }
    let mut options = sqlite_options(url, 1, Access::Write, wait);
    // The digests check the copied rows, so foreign keys need not.
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.foreign_keys(false));
    connect_with_retry(options).await.map_err(failed)
}

/// Begins a transaction without timeouts. On SQLite, it blocks all other writers.
async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let txn = connection.begin_with_options(options).await?;
    lift_timeouts(&txn).await?;
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
    }
    Ok(txn)
}

/// Blocks writes to all tables until the transaction ends, and returns whether an instance runs.
async fn lock_and_check_served(txn: &DatabaseTransaction) -> Result<bool, DbErr> {
    if txn.get_database_backend() != DbBackend::Postgres {
        return Ok(false);
    }
    // Without a timeout, the copy would wait for an instance that does not stop.
    txn.execute_unprepared("SET LOCAL lock_timeout = '5s'").await?;
    let names = tables::all(txn).await?;
    let names = names.iter().map(|table| table.name.as_str());
    // The table of the mark is locked first, as commands do: they then wait while they hold no
    // other lock, so no deadlock is possible.
    let names = std::iter::once(moved::TABLE).chain(names);
    let list = names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    txn.execute_unprepared(&format!("LOCK TABLE {list} IN SHARE ROW EXCLUSIVE MODE")).await?;
    let found = sql::first::<(i64,)>(txn, COUNT_INSTANCES, []).await?;
    Ok(found.is_some_and(|(count,)| count > 0))
}

/// Opens the target, migrates it to the schema of this version, marks it as incomplete and deletes
/// its rows.
async fn prepare_target(
    from: &DatabaseSettings,
    to: &DatabaseSettings,
    now: Timestamp,
) -> Result<DatabaseConnection, CopyError> {
    let target = open(to).await?;
    let is_empty = tables::is_empty(&target).await.map_err(CopyError::Target)?;
    if !is_empty && !is_incomplete(&target).await.map_err(CopyError::Target)? {
        return Err(CopyError::NotEmpty(to.database_url.without_password()));
    }
    let mark = Mark::Incomplete(from.database_url.without_password());
    let prepared = async {
        let txn = begin(&target).await?;
        Migrator::up(&txn, None).await?;
        mark.set(&txn, now).await?;
        rows::delete_all(&txn, &tables::all(&txn).await?).await?;
        txn.commit().await
    };
    prepared.await.map_err(CopyError::Target)?;
    Ok(target)
}

async fn is_incomplete(target: &DatabaseConnection) -> Result<bool, DbErr> {
    if !migration::has_table(target, moved::TABLE).await? {
        return Ok(false);
    }
    let sql = "SELECT count(*) FROM database_copy WHERE state = $1";
    let marks: Option<(i64,)> = sql::first(target, sql, [mark::INCOMPLETE.into()]).await?;
    Ok(marks.is_some_and(|(count,)| count > 0))
}

/// The source must have the tables of this version, with the same columns.
async fn check_schema(source: &DatabaseTransaction, tables: &[Table]) -> Result<(), CopyError> {
    let found = tables::all(source).await.map_err(CopyError::Source)?;
    match tables.iter().find(|table| !found.contains(table)) {
        Some(table) => Err(CopyError::Schema(table.name.clone())),
        None => Ok(()),
    }
}

/// Copies the rows of all tables, and compares the target with the source.
async fn copy_tables(
    source: &DatabaseTransaction,
    target: &DatabaseConnection,
    tables: &[Table],
) -> Result<Vec<CopiedTable>, CopyError> {
    let mut copied = Vec::new();
    for table in tables {
        let mut reader = Reader::open(source, table).await.map_err(CopyError::Source)?;
        loop {
            let portion = reader.next().await.map_err(CopyError::Source)?;
            if portion.is_empty() {
                break;
            }
            write(target, table, portion).await.map_err(CopyError::Target)?;
        }
        copied.push(CopiedTable { name: table.name.clone(), digest: reader.digest });
    }
    let txn = begin(target).await.map_err(CopyError::Target)?;
    for (table, CopiedTable { name, digest }) in tables.iter().zip(&copied) {
        let reader = Reader::open(&txn, table).await.map_err(CopyError::Target)?;
        if reader.digest_rest().await.map_err(CopyError::Target)? != *digest {
            return Err(CopyError::Differs(name.clone()));
        }
    }
    txn.commit().await.map_err(CopyError::Target)?;
    Ok(copied)
}

async fn write(
    target: &DatabaseConnection,
    table: &Table,
    portion: Vec<Vec<sea_orm::Value>>,
) -> Result<(), DbErr> {
    let txn = begin(target).await?;
    rows::insert(&txn, table, portion).await?;
    txn.commit().await
}
