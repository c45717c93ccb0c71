//! Migrates the schema to the version of this binary, and refuses a newer one.
//!
//! All pending migrations run in one transaction, under a lock. If several instances start at the
//! same time, one of them migrates, and the others find no pending migrations. A crash leaves no
//! migration half applied.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};

use crate::database::copy::mark::{self, Mark};
use crate::database::db::{Db, lift_timeouts};

/// Key of the PostgreSQL advisory lock for migrations: "signet" in ASCII.
const LOCK: i64 = 0x7369_676e_6574;

/// Why the schema could not be migrated to the version of this binary.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer Signet has migrated the database; this version cannot interpret its rows.
    #[error(
        "the database has the newer schema {version}, which this version of Signet does not know; \
         start the newer version, or restore a backup. Nothing was changed"
    )]
    Newer {
        /// The newest migration that this binary does not know.
        version: String,
    },
    /// The database was copied to another one, which is used instead.
    #[error(
        "the database was moved to {to} by `signet database copy`: set SIGNET_DATABASE_URL to that \
         one. To go back, lose all changes made there and run `signet database copy --undo`. \
         Nothing was changed"
    )]
    Moved {
        /// The other database, without its password.
        to: String,
    },
    /// The database is an incomplete copy of another one.
    #[error(
        "the database is an incomplete copy of {from}: run `signet database copy` there again. If \
         that one is marked as moved already, first run `signet database copy --undo` there. \
         Nothing was changed"
    )]
    Incomplete {
        /// The other database, without its password.
        from: String,
    },
    /// The database refused.
    #[error("cannot migrate the database: {0}")]
    Database(#[from] DbErr),
}

/// Applies all pending migrations.
///
/// # Errors
/// [`SchemaError::Newer`] before anything is written, if the schema is newer than this binary.
pub async fn migrate_up(db: &Db) -> Result<(), SchemaError> {
    refuse_copied(db).await?;
    let pending = status(db).await?.iter().filter(|(is_applied, _)| !is_applied).count();
    if pending == 0 {
        return Ok(());
    }
    tracing::info!(pending, "applying {pending} migrations of the schema");
    db.without_timeout()
        .write((), |txn, _, ()| {
            Box::pin(async move {
                lock(txn).await?;
                Migrator::up(txn, None).await
            })
        })
        .await
        .map_err(SchemaError::Database)
}

/// Reverts the newest `steps` migrations.
///
/// # Errors
/// As [`migrate_up`].
pub async fn migrate_down(db: &Db, steps: u32) -> Result<(), SchemaError> {
    status(db).await?;
    refuse_copied(db).await?;
    db.without_timeout()
        .write((), move |txn, _, ()| {
            Box::pin(async move {
                lock(txn).await?;
                Migrator::down(txn, Some(steps)).await
            })
        })
        .await
        .map_err(SchemaError::Database)
}

/// Refuses a database that `signet database copy` has moved, or has not copied completely. Changes
/// nothing.
///
/// # Errors
/// [`SchemaError::Moved`] or [`SchemaError::Incomplete`].
pub async fn refuse_copied(db: &Db) -> Result<(), SchemaError> {
    let mark = db.read(|db| async move { mark::read(&db).await }).await?;
    refuse_mark(mark)
}

/// As [`refuse_copied`], on a connection.
pub(super) async fn refuse_copied_file(connection: &DatabaseConnection) -> Result<(), SchemaError> {
    refuse_mark(mark::read(connection).await?)
}

fn refuse_mark(mark: Option<Mark>) -> Result<(), SchemaError> {
    match mark {
        Some(Mark::Moved(to)) => Err(SchemaError::Moved { to }),
        Some(Mark::Incomplete(from)) => Err(SchemaError::Incomplete { from }),
        None => Ok(()),
    }
}

/// Whether each migration has been applied, and its name; oldest first.
///
/// # Errors
/// As [`migrate_up`].
pub async fn status(db: &Db) -> Result<Vec<(bool, String)>, SchemaError> {
    status_within(&db.read(|db| async move { migration::applied(&db).await }).await?)
}

/// As [`status`], on a connection.
pub(super) async fn status_of(
    connection: &DatabaseConnection,
) -> Result<Vec<(bool, String)>, SchemaError> {
    status_within(&migration::applied(connection).await?)
}

fn status_within(applied: &[String]) -> Result<Vec<(bool, String)>, SchemaError> {
    let known: Vec<String> =
        Migrator::get_migration_files().iter().map(|file| file.name().to_owned()).collect();
    if let Some(version) = applied.iter().rfind(|version| !known.contains(version)) {
        return Err(SchemaError::Newer { version: version.clone() });
    }
    Ok(known.into_iter().map(|name| (applied.contains(&name), name)).collect())
}

/// Whether the table exists, which an older schema may not have yet. Changes nothing.
///
/// # Errors
/// If the database cannot be read.
pub async fn has_table(db: &Db, name: &str) -> Result<bool, SchemaError> {
    Ok(db.read(|db| async move { migration::has_table(&db, name).await }).await?)
}

async fn lock(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    lift_timeouts(txn).await?;
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    }
    Ok(())
}
