//! The name of a database and its commit counter. Together they distinguish a restored older backup
//! from the database that it replaced.
//!
//! The name is the key id of the database's first signing key. It is unique, because the key is
//! random. `signet restored` replaces the name by a new random id. The commit counter advances while the database is served:
//! on SQLite with each commit, on PostgreSQL once a second per instance. Commands do not advance
//! it, because a command on an older copy would make the copy look newer.

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
    /// The id that this run generated.
    pub id: Uuid,
    /// The time of this run.
    pub at: Timestamp,
}

/// The name and the commit counter of a database at one point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The commit counter.
    pub commits: i64,
    /// `None` if `signet restored` was never run on the database.
    pub restore: Option<Restore>,
    /// The key id of the first signing key; `None` if there is none yet.
    first_kid: Option<String>,
}

impl Lineage {
    /// Reads the lineage from a schema of any version. Changes nothing.
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

    /// The name of the database, which only copies of it share. `None` if the database has no
    /// signing key yet.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.restore.map(|restore| restore.id.to_string()).or_else(|| self.first_kid.clone())
    }
}

impl Db {
    /// The last run of `signet restored`. The schema must be of this version.
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

/// Gives the database a new name. Must run in the transaction that invalidates everything issued
/// before. Also deletes the rows of instances: these are instances that ran when the backup was
/// made.
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
