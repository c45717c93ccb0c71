//! The identity of a database and its commit counter: together they distinguish a restored older
//! backup from the database it replaced.
//!
//! A database is named by the id of its first signing key, which is random, or, after `signet
//! restored` was run, by the id generated then. Its commit counter grows while it is served: on
//! SQLite with each commit, on PostgreSQL once a second per instance. Commands do not advance it:
//! run on an older copy, they would make it look like the newer one.

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::database::db::Db;
use crate::database::sql;
use crate::timestamp::Timestamp;

const COMMITS: &str = "SELECT commits FROM database_state";

const FIRST_KID: &str = "SELECT kid FROM signing_key ORDER BY created_at, kid LIMIT 1";

/// The last run of `signet restored`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restore {
    /// Generated at that run.
    pub id: Uuid,
    /// When it was run.
    pub at: Timestamp,
}

/// The identity and counter of a database at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The commit counter.
    pub commits: i64,
    /// `None` if it was never restored.
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
            let commits = if has_state { sql::first(&db, COMMITS, []).await? } else { None };
            let restore = if has_restores { last_restore(&db).await? } else { None };
            let first_kid = if has_keys { sql::first(&db, FIRST_KID, []).await? } else { None };
            Ok(Self { commits: commits.unwrap_or(0), restore, first_kid })
        })
        .await
    }

    /// The same for all copies of a database, and for no other; `None` if it has issued nothing
    /// yet.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.restore.map(|restore| restore.id.to_string()).or_else(|| self.first_kid.clone())
    }
}

impl Db {
    /// The last time the database was declared restored. The schema must be of this version.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn last_restore(&self) -> Result<Option<Restore>, DbErr> {
        self.read(|db| async move { last_restore(&db).await }).await
    }
}

async fn last_restore(db: &DatabaseConnection) -> Result<Option<Restore>, DbErr> {
    let sql = "SELECT restore_id, restored_at FROM database_state WHERE restore_id IS NOT NULL";
    Ok(sql::first(db, sql, []).await?.map(|(id, at)| Restore { id, at }))
}

/// Gives the database a new name, in the transaction that voids everything issued before. Deletes
/// the rows of instances, which are those of the backup.
///
/// # Errors
/// If the database refuses.
pub async fn start_new_lineage(
    txn: &DatabaseTransaction,
    id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    let sql = "UPDATE database_state SET restore_id = $1, restored_at = $2";
    sql::execute(txn, sql, [id.into(), now.into()]).await?;
    sql::execute(txn, "DELETE FROM instance", []).await.map(drop)
}
