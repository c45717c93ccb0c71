//! Which database this is, and how far it has got: by these, an older backup that was restored is
//! told from the database that was there before.
//!
//! A database is named by the first of its signing keys, which is random, or, once `signet
//! restored` was run, by the id that was drawn then. Its counter of commits grows while it is served:
//! on SQLite with each of them, on PostgreSQL once a second with each instance. Commands leave it
//! alone: run on an older copy, they would make it look like the newer one.

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::database::db::Db;
use crate::database::outage::statement;
use crate::timestamp::Timestamp;

/// The last time that `signet restored` was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restore {
    /// Drawn then.
    pub id: Uuid,
    /// When that was.
    pub at: Timestamp,
}

/// A database at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The counter of commits.
    pub commits: i64,
    /// None if it was never restored.
    pub restore: Option<Restore>,
    /// The key id of the first signing key; `None` if there is none yet.
    first_kid: Option<String>,
}

impl Lineage {
    /// Reads it, whatever version the schema has. Changes nothing.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn read(db: &Db) -> Result<Self, DbErr> {
        db.read(|db| async move {
            let has_state = migration::has_table(&db, "database_state").await?;
            let has_restores =
                has_state && migration::has_column(&db, "database_state", "restore_id").await?;
            let has_keys = migration::has_table(&db, "signing_key").await?;
            let commits = if has_state { commits(&db).await? } else { 0 };
            let restore = if has_restores { last_restore(&db).await? } else { None };
            let first_kid = if has_keys { first_kid(&db).await? } else { None };
            Ok(Self { commits, restore, first_kid })
        })
        .await
    }

    /// The same for all copies of a database, and for no other; none if it has issued nothing yet.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.restore.map(|restore| restore.id.to_string()).or_else(|| self.first_kid.clone())
    }
}

impl Db {
    /// When the database was last declared to be restored. The schema must be of this version.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn last_restore(&self) -> Result<Option<Restore>, DbErr> {
        self.read(|db| async move { last_restore(&db).await }).await
    }
}

async fn commits(db: &DatabaseConnection) -> Result<i64, DbErr> {
    let row = db.query_one_raw(statement(db, "SELECT commits FROM database_state", [])).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

async fn last_restore(db: &DatabaseConnection) -> Result<Option<Restore>, DbErr> {
    let sql = "SELECT restore_id, restored_at FROM database_state WHERE restore_id IS NOT NULL";
    let Some(row) = db.query_one_raw(statement(db, sql, [])).await? else { return Ok(None) };
    Ok(Some(Restore { id: row.try_get_by_index(0)?, at: row.try_get_by_index(1)? }))
}

async fn first_kid(db: &DatabaseConnection) -> Result<Option<String>, DbErr> {
    let sql = "SELECT kid FROM signing_key ORDER BY created_at, kid LIMIT 1";
    let row = db.query_one_raw(statement(db, sql, [])).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Gives the database a new name, as part of the transaction that voids what was issued before.
/// Instances that its rows speak of are those of the backup.
///
/// # Errors
/// If the database refuses.
pub async fn begin_anew(txn: &DatabaseTransaction, id: Uuid, now: Timestamp) -> Result<(), DbErr> {
    let sql = "UPDATE database_state SET restore_id = $1, restored_at = $2";
    txn.execute_raw(statement(txn, sql, [id.into(), now.into()])).await?;
    txn.execute_unprepared("DELETE FROM instance").await.map(drop)
}
