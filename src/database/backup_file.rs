//! Reads a SQLite file that is not in use, such as a backup. Never writes to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use sea_orm::{Database, DatabaseConnection, DbErr};

use crate::database::file::path_with_suffix;
use crate::database::options::{Access, close, sqlite_options};
use crate::database::schema::{SchemaError, refuse_copied_file, status_of};
use crate::database::sql;

/// The first bytes of every SQLite file.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// The first bytes of every file that `pg_dump --format=custom` writes.
const PG_DUMP_MAGIC: &[u8] = b"PGDMP";

/// Why a file cannot be used as a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupFileError {
    /// The file cannot be read.
    #[error("cannot read the backup {file}: {source}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The path names a folder, a pipe or a device.
    #[error("the backup {0} is not a regular file")]
    NotAFile(PathBuf),
    /// The file is a backup of a PostgreSQL database.
    #[error(
        "the backup {0} was made by pg_dump: restore it with pg_restore, into a PostgreSQL database"
    )]
    PostgresDump(PathBuf),
    /// The file is no SQLite database.
    #[error("the backup {0} is not a SQLite database")]
    NotADatabase(PathBuf),
    /// The file was copied from a database in use, together with its write-ahead log.
    #[error(
        "{0} has a write-ahead log beside it ({0}-wal), whose changes --verify would not see. \
         `signet restore {0}` applies them to its own copy"
    )]
    HasLog(PathBuf),
    /// The content is inconsistent.
    #[error("the backup {file} is damaged: {fault}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite reports.
        fault: String,
    },
    /// The file is a SQLite database of another program.
    #[error("the backup {0} is not a database of Signet")]
    NotSignet(PathBuf),
    /// This version cannot migrate the schema, or `signet database copy` has marked the database.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A SQLite file, opened for reading.
#[derive(Debug)]
pub struct BackupFile {
    file: PathBuf,
    connection: DatabaseConnection,
}

/// How much a database contains, and how many migrations it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Accounts that are not deleted.
    pub accounts: i64,
    /// Sessions, whether or not they have ended.
    pub sessions: i64,
    /// Migrations that this version would apply.
    pub pending: usize,
}

/// Opens a regular file for reading.
///
/// # Errors
/// See [`BackupFileError`].
pub(super) fn open_regular(path: &Path) -> Result<File, BackupFileError> {
    let unreadable = |source| BackupFileError::Unreadable { file: path.to_owned(), source };
    // Opening a pipe must not block until another process writes to it.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file = file.map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(BackupFileError::NotAFile(path.to_owned()));
    }
    Ok(file)
}

/// Whether there is a write-ahead log with changes beside the file.
pub(super) fn has_log(file: &Path) -> bool {
    path_with_suffix(file, "-wal").metadata().is_ok_and(|log| log.len() > 0)
}

/// Refuses a file whose first bytes are not those of a SQLite database.
pub(super) fn check_magic(path: &Path) -> Result<(), BackupFileError> {
    let mut head = Vec::new();
    open_regular(path)?
        .take(SQLITE_MAGIC.len() as u64)
        .read_to_end(&mut head)
        .map_err(|source| BackupFileError::Unreadable { file: path.to_owned(), source })?;
    if head.starts_with(PG_DUMP_MAGIC) {
        return Err(BackupFileError::PostgresDump(path.to_owned()));
    }
    if head != SQLITE_MAGIC {
        return Err(BackupFileError::NotADatabase(path.to_owned()));
    }
    Ok(())
}

impl BackupFile {
    /// Opens a backup for reading. SQLite takes no locks and creates no files beside it, so the
    /// file may be on a read-only medium. No process may write to the file while it is open.
    ///
    /// # Errors
    /// See [`BackupFileError`].
    pub async fn open(path: &Path) -> Result<Self, BackupFileError> {
        check_magic(path)?;
        if has_log(path) {
            return Err(BackupFileError::HasLog(path.to_owned()));
        }
        Self::open_copy(path, path).await
    }

    /// As [`BackupFile::open`], for a copy of the file `original`, which messages name. The
    /// original must have been checked by `check_magic`.
    ///
    /// # Errors
    /// See [`BackupFileError`].
    pub async fn open_copy(copy: &Path, original: &Path) -> Result<Self, BackupFileError> {
        let (file, name) = (original.to_owned(), copy.to_owned());
        let mut options = sqlite_options("sqlite:backup", 1, Access::Read, Duration::from_secs(5));
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite.filename(&name).read_only(true).immutable(true)
        });
        let connected = Database::connect(options).await;
        let connection = connected.map_err(|error| damaged(&file, &error))?;
        Ok(Self { file, connection })
    }

    /// The connection to the file.
    #[must_use]
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Checks that every page and every index of the file is consistent, and that this version can
    /// migrate its schema. Takes some seconds per GiB.
    ///
    /// # Errors
    /// See [`BackupFileError`].
    pub async fn check(&self) -> Result<(), BackupFileError> {
        let faults = sql::all::<(String,)>(&self.connection, "PRAGMA integrity_check(1)", []);
        let faults = faults.await.map_err(|error| damaged(&self.file, &error))?;
        match faults.first() {
            Some((result,)) if result == "ok" => {}
            first => {
                let fault = first.map(|(fault,)| fault.replace('\n', " ")).unwrap_or_default();
                return Err(BackupFileError::Damaged { file: self.file.clone(), fault });
            }
        }
        self.migrations().await.map(drop)
    }

    /// Counts accounts, sessions and pending migrations.
    ///
    /// # Errors
    /// See [`BackupFileError`].
    pub async fn counts(&self) -> Result<Counts, BackupFileError> {
        let pending = self.migrations().await?.iter().filter(|(applied, _)| !applied).count();
        let counted = async {
            let has_deleted =
                migration::has_column(&self.connection, "account", "deleted_at").await?;
            let condition = if has_deleted { " WHERE deleted_at IS NULL" } else { "" };
            let accounts = self.count(&format!("SELECT count(*) FROM account{condition}")).await?;
            let sessions = self.count("SELECT count(*) FROM session").await?;
            Ok(Counts { accounts, sessions, pending })
        };
        counted.await.map_err(|error| damaged(&self.file, &error))
    }

    async fn count(&self, sql: &str) -> Result<i64, DbErr> {
        Ok(sql::first::<(i64,)>(&self.connection, sql, []).await?.map_or(0, |(count,)| count))
    }

    async fn migrations(&self) -> Result<Vec<(bool, String)>, BackupFileError> {
        let migrations = match status_of(&self.connection).await {
            Err(SchemaError::Database(error)) => return Err(damaged(&self.file, &error)),
            migrations => migrations?,
        };
        // Other programs with the same migration library have the same table of migrations.
        if !migrations.first().is_some_and(|(is_applied, _)| *is_applied) {
            return Err(BackupFileError::NotSignet(self.file.clone()));
        }
        // The data of a file that `signet database copy` has marked is out of date, or incomplete.
        refuse_copied_file(&self.connection).await?;
        Ok(migrations)
    }

    /// Closes the file.
    pub async fn close(self) {
        close(&self.connection).await;
    }
}

fn damaged(file: &Path, error: &DbErr) -> BackupFileError {
    BackupFileError::Damaged { file: file.to_owned(), fault: error.to_string() }
}
