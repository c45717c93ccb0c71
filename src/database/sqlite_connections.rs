//! The writer's SQLite connections: one that commits, and one that verifies that other connections
//! see the commit.
//!
//! The committing connection is discarded if it failed to commit or roll back, or reported a disk
//! or memory error. SQLite may then have rolled back by itself. The driver counts nested
//! transactions, so it would only set savepoints from then on.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use crate::database::job::{is_connection_error, is_in_doubt, sqlite_code};
use crate::database::options::{Access, close, connect_with_retry, sqlite_options};
use crate::database::sql;
use crate::timestamp::Timestamp;

/// SQLite result codes (<https://sqlite.org/rescode.html>), without their extended part.
const NO_MEMORY: u32 = 7;
const IO_ERROR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const NOT_A_DATABASE: u32 = 26;

/// The connection that commits, and the one that verifies its commits.
pub(super) struct Connections {
    options: ConnectOptions,
    /// `None` after an error that left the state of the connection unknown, until the next
    /// transaction.
    writer: Option<DatabaseConnection>,
    /// Verifies that other connections see a commit.
    witness: DatabaseConnection,
    /// Whether the schema has the counters, which are missing before the migrations have run.
    has_counter: bool,
}

impl Connections {
    pub(super) async fn open(url: &str, wait: Duration) -> Result<Self, DbErr> {
        let options = sqlite_options(url, 1, Access::Write, wait);
        let writer = Some(connect_with_retry(options.clone()).await?);
        let witness = connect_with_retry(sqlite_options(url, 1, Access::Read, wait)).await?;
        Ok(Self { options, writer, witness, has_counter: false })
    }

    pub(super) async fn begin(&mut self) -> Result<DatabaseTransaction, DbErr> {
        let connection = match &self.writer {
            Some(connection) => connection,
            None => self.writer.insert(connect_with_retry(self.options.clone()).await?),
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = connection.begin_with_options(options).await;
        if let Err(error) = &begun {
            self.discard_if_suspicious(error).await;
        }
        begun
    }

    /// Whether the schema, as the transaction sees it, has the counters.
    pub(super) async fn has_counter(&mut self, txn: &DatabaseTransaction) -> Result<bool, DbErr> {
        if !self.has_counter {
            let sql = "SELECT 1 FROM sqlite_master WHERE name = 'database_state'";
            self.has_counter = sql::first::<i32>(txn, sql, []).await?.is_some();
        }
        Ok(self.has_counter)
    }

    /// Whether other connections see the commit with this counter.
    pub(super) async fn is_visible(&mut self, count: Option<Count>) -> Result<bool, DbErr> {
        let Some(Count { writes, .. }) = count else { return Ok(true) };
        let sql = "SELECT writes FROM database_state";
        match sql::first::<i64>(&self.witness, sql, []).await {
            Ok(seen) => Ok(seen.is_some_and(|seen| seen >= writes)),
            // Error 1: the batch has removed the counters from the schema.
            Err(error) if sqlite_code(&error) == Some(1) => {
                self.has_counter = false;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn roll_back(&mut self, txn: DatabaseTransaction, cause: Option<&DbErr>) {
        if let Err(error) = txn.rollback().await {
            tracing::warn!(%error, "a rollback failed; its connection is replaced");
            self.discard().await;
        } else if let Some(cause) = cause {
            self.discard_if_suspicious(cause).await;
        }
    }

    /// Discards the connection after an error that leaves its state unknown.
    async fn discard_if_suspicious(&mut self, error: &DbErr) {
        if is_suspicious(error) {
            self.discard().await;
        }
    }

    pub(super) async fn discard(&mut self) {
        if let Some(connection) = self.writer.take() {
            close(&connection).await;
        }
    }

    /// Closes the writing connection last. The last connection to be closed checkpoints the
    /// write-ahead log, which a read-only connection cannot do.
    pub(super) async fn close(mut self) {
        close(&self.witness).await;
        self.discard().await;
    }
}

/// The counters after a transaction advanced them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    /// The number of commits, by which it is verified that an acknowledged commit is visible.
    pub(super) writes: i64,
    /// The commit counter, by which an older copy is detected. `None` if this process does not
    /// serve.
    pub(super) commits: Option<i64>,
}

/// Advances the number of writes. If `served_at` has a time, also advances the commit counter, and
/// stores this time.
pub(super) async fn advance_counters(
    txn: &DatabaseTransaction,
    served_at: Option<Timestamp>,
) -> Result<Option<Count>, DbErr> {
    let sql = "UPDATE database_state SET writes = writes + 1, commits = commits + ($1 IS NOT NULL), \
               served_at = COALESCE($1, served_at) RETURNING writes, commits";
    let counted = sql::first(txn, sql, [served_at.into()]).await?;
    Ok(counted.map(|(writes, commits)| Count { writes, commits: served_at.map(|_| commits) }))
}

/// Whether SQLite may have rolled back by itself after this error, or its memory may differ from
/// the disk.
pub(super) fn is_suspicious(error: &DbErr) -> bool {
    match sqlite_code(error) {
        Some(code) => [NO_MEMORY, IO_ERROR, CORRUPT, FULL, NOT_A_DATABASE].contains(&code),
        None => is_in_doubt(error) || is_connection_error(error),
    }
}

/// Whether the disk is full.
pub(super) fn is_full(error: &DbErr) -> bool {
    sqlite_code(error) == Some(FULL)
}
