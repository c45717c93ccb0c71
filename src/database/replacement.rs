//! Replaces a SQLite database by a backup, atomically: a crash at any point leaves either the old
//! or the new database.
//!
//! The backup is copied beside the database, so that the copy can be checked, migrated and changed
//! before it takes the place of the database. Both are exchanged in one step. The old database
//! stays under another name.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};

use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::database::backup_file::{
    BackupFile, BackupFileError, check_magic, has_log, open_regular,
};
use crate::database::file::{
    ConnectError, folder_of, is_unsupported, path_with_suffix, prepare_folder, remove_if_present,
    rename_without_replacing, sync_folder_of,
};
use crate::database::job::sqlite_code;
use crate::database::options::{basic, close};
use crate::database::serve_lock::{ServeLock, ServeLockError};

/// SQLite result codes (<https://sqlite.org/rescode.html>).
const BUSY: u32 = 5;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

/// The suffixes of the files that SQLite keeps beside a database: its write-ahead log, the index of
/// that log, and its rollback journal.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why the database was not replaced. Its contents are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// There is a database, and it must not be replaced.
    #[error("there is a database {0}: pass --replace to move it aside. Nothing was changed")]
    Exists(PathBuf),
    /// The path of the database names a folder, or a symbolic link to nothing.
    #[error("{0} is not a regular file: correct SIGNET_DATABASE_URL. Nothing was changed")]
    NotAFile(PathBuf),
    /// The backup is the database itself.
    #[error("{0} is the database itself, not a backup of it. Nothing was changed")]
    IsDatabase(PathBuf),
    /// A server uses the database, or another command replaces or copies it.
    #[error(
        "a server uses the database {0}, or another `signet restore` or `signet database copy` \
         runs: stop it first. Nothing was changed"
    )]
    Served(PathBuf),
    /// Another process uses the database.
    #[error(
        "another process has the database {0} open, such as a command of Signet: wait until it \
         has ended (`fuser {0}` names it). Nothing was changed"
    )]
    InUse(PathBuf),
    /// The folder of the database, or the database file, cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The lock cannot be taken.
    #[error(transparent)]
    Lock(ServeLockError),
    /// The backup cannot be used.
    #[error(transparent)]
    Backup(#[from] BackupFileError),
    /// A file in the folder of the database cannot be written or renamed.
    #[error(
        "cannot write a copy of the backup beside the database {database}: {source}. The database \
         was not replaced"
    )]
    File {
        /// The database.
        database: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The write-ahead log of the old database cannot be written back to it.
    #[error("the database {database} cannot be closed: {source}. It was not replaced")]
    Old {
        /// The database.
        database: PathBuf,
        /// The database's error.
        source: DbErr,
    },
}

/// A copy of a backup that will replace the database. As long as this value exists, no server can
/// start.
#[derive(Debug)]
pub struct Replacement {
    database: PathBuf,
    backup: PathBuf,
    copy: PathBuf,
    _lock: ServeLock,
}

impl Replacement {
    /// Copies `backup` beside the database, with mode 0600.
    ///
    /// # Errors
    /// See [`ReplaceError`].
    pub async fn prepare(
        settings: &DatabaseSettings,
        backup: &Path,
        may_replace: bool,
    ) -> Result<Self, ReplaceError> {
        check_magic(backup)?;
        let database = target_of(&settings.database_url)?;
        let exists = database.exists();
        if exists && database.canonicalize().ok() == backup.canonicalize().ok() {
            return Err(ReplaceError::IsDatabase(database));
        }
        if exists && !may_replace {
            return Err(ReplaceError::Exists(database));
        }
        let lock = ServeLock::take_beside(&database, Duration::ZERO).await;
        let lock = lock.map_err(|error| match error {
            ServeLockError::InUse { file, .. } => ReplaceError::Served(file),
            other => ReplaceError::Lock(other),
        })?;
        // Another restore may have created the database before this one took the lock.
        if database.exists() && !may_replace {
            return Err(ReplaceError::Exists(database));
        }
        let copy = path_with_suffix(&database, "-restoring");
        let replacement = Self { database, backup: backup.to_owned(), copy, _lock: lock };
        // A restore that was killed has left its copy.
        replacement.remove_copy().map_err(|source| replacement.failed(source))?;
        replacement.fill().await?;
        Ok(replacement)
    }

    /// Opens the copy for reading. Messages name the backup.
    ///
    /// # Errors
    /// See [`BackupFileError`].
    pub async fn open_copy(&self) -> Result<BackupFile, BackupFileError> {
        BackupFile::open_copy(&self.copy, &self.backup).await
    }

    /// Settings with which the copy can be opened.
    #[must_use]
    pub fn settings(&self, settings: &DatabaseSettings) -> DatabaseSettings {
        let database_url = DatabaseUrl::unchecked(&format!("sqlite:{}", self.copy.display()));
        DatabaseSettings { database_url, ..settings.clone() }
    }

    async fn fill(&self) -> Result<(), ReplaceError> {
        let backup = self.backup.as_path();
        copy_private(backup, &self.copy).map_err(|source| self.failed(source))?;
        if has_log(backup) {
            let log = |path: &Path| path_with_suffix(path, "-wal");
            copy_private(&log(backup), &log(&self.copy)).map_err(|source| self.failed(source))?;
            // This applies the log to the copy.
            let opened = open_exclusively(&self.copy).await;
            let opened = opened.map_err(|error| BackupFileError::Damaged {
                file: backup.to_owned(),
                fault: error.to_string(),
            })?;
            close(&opened).await;
        }
        Ok(())
    }

    /// Exchanges the database and the copy. The copy must be closed. Appends `aside` to the name of
    /// the old database, and returns its new path. Returns `None` if there was no database.
    ///
    /// # Errors
    /// See [`ReplaceError`].
    pub async fn switch(self, aside: &str) -> Result<Option<PathBuf>, ReplaceError> {
        let aside = unused_path(&self.database, aside);
        let synced = File::open(&self.copy).and_then(|copy| copy.sync_all());
        synced.map_err(|source| self.failed(source))?;
        self.link_logs(&aside).map_err(|source| self.failed(source))?;
        // This connection locks the old file until the exchange is complete. A command that opens
        // the file meanwhile cannot write to it afterwards, because SQLite notices that the file
        // has moved.
        let old = match self.lock_old().await {
            Ok(old) => old,
            Err(error) => {
                remove_logs(&aside).map_err(|source| self.failed(source))?;
                return Err(error);
            }
        };
        // If the old database could be opened, its log is now part of its file, and the second
        // names of the log are removed. If it is damaged, its log stays beside it under the second
        // names, and the first names are removed, because SQLite would apply the log to the new
        // database.
        let unused = if old.is_some() { &aside } else { &self.database };
        let switched = remove_logs(unused).and_then(|()| self.exchange(&aside));
        if let Some(old) = old {
            close(&old).await;
        }
        switched.map_err(|source| self.failed(source))
    }

    /// Writes the log of the old database back to its file, and locks the file. `None` if the file
    /// is missing, or too damaged to be opened.
    async fn lock_old(&self) -> Result<Option<DatabaseConnection>, ReplaceError> {
        if !self.database.exists() {
            return Ok(None);
        }
        match open_exclusively(&self.database).await {
            Ok(connection) => Ok(Some(connection)),
            Err(source) => match sqlite_code(&source) {
                Some(BUSY) => Err(ReplaceError::InUse(self.database.clone())),
                Some(CORRUPT | NOT_A_DATABASE) => Ok(None),
                _ => Err(ReplaceError::Old { database: self.database.clone(), source }),
            },
        }
    }

    /// Gives the logs of the database a second name, so that SQLite cannot delete them: it deletes
    /// the write-ahead log also of a database that it could not read.
    fn link_logs(&self, aside: &Path) -> io::Result<()> {
        for suffix in LOGS {
            let log = path_with_suffix(&self.database, suffix);
            match std::fs::hard_link(log, path_with_suffix(aside, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn exchange(&self, aside: &Path) -> io::Result<Option<PathBuf>> {
        if !self.database.exists() {
            rename_without_replacing(&self.copy, &self.database)?;
            sync_folder_of(&self.database)?;
            return Ok(None);
        }
        rename_without_replacing(&self.copy, aside)?;
        match renameat_with(CWD, aside, CWD, &self.database, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(error) if is_unsupported(error) => self.exchange_by_link(aside)?,
            Err(error) => {
                std::fs::rename(aside, &self.copy)?;
                return Err(error.into());
            }
        }
        sync_folder_of(&self.database)?;
        Ok(Some(aside.to_owned()))
    }

    /// Exchanges the files on a file system that cannot exchange two files in one step. At each
    /// point the database is the old or the new one. In between, the old database has two names. A
    /// server does not start on such a database until one name is removed.
    fn exchange_by_link(&self, aside: &Path) -> io::Result<()> {
        std::fs::rename(aside, &self.copy)?;
        std::fs::hard_link(&self.database, aside)?;
        let switched = std::fs::rename(&self.copy, &self.database);
        if switched.is_err() {
            remove_if_present(aside)?;
        }
        switched
    }

    fn remove_copy(&self) -> io::Result<()> {
        for suffix in ["", "-reserve"] {
            remove_if_present(&path_with_suffix(&self.copy, suffix))?;
        }
        remove_logs(&self.copy)
    }

    fn failed(&self, source: io::Error) -> ReplaceError {
        ReplaceError::File { database: self.database.clone(), source }
    }
}

/// Removes the copy if it has not replaced the database.
impl Drop for Replacement {
    fn drop(&mut self) {
        let _ = self.remove_copy();
    }
}

/// The file to be replaced: for a symbolic link, its target. Need not exist.
fn target_of(url: &DatabaseUrl) -> Result<PathBuf, ReplaceError> {
    let path = url.sqlite_file().unwrap_or_default();
    prepare_folder(&path)?;
    let failed = |source| ConnectError::File { file: path.clone(), source };
    match (path.symlink_metadata(), path.metadata()) {
        (Ok(_), Ok(found)) if found.is_file() => Ok(path.canonicalize().map_err(failed)?),
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(&path).canonicalize().map_err(failed)?;
            Ok(folder.join(path.file_name().unwrap_or_default()))
        }
        (Err(source), _) => Err(failed(source).into()),
        _ => Err(ReplaceError::NotAFile(path)),
    }
}

/// The path of `database` with this suffix, and with a number if there is a file or a log of this
/// name. Only the holder of the lock creates such files.
fn unused_path(database: &Path, suffix: &str) -> PathBuf {
    let mut path = path_with_suffix(database, suffix);
    let mut number = 1;
    while std::iter::once("").chain(LOGS).any(|log| path_with_suffix(&path, log).exists()) {
        number += 1;
        path = path_with_suffix(database, &format!("{suffix}-{number}"));
    }
    path
}

/// Removes the logs beside a database file.
fn remove_logs(database: &Path) -> io::Result<()> {
    LOGS.iter().try_for_each(|suffix| remove_if_present(&path_with_suffix(database, suffix)))
}

/// Copies a file to a new file with mode 0600, and syncs it to disk.
fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = open_regular(from).map_err(io::Error::other)?;
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

/// Opens a SQLite file, writes its log back to it, deletes the log, and locks the file for all
/// other processes. Fails with [`BUSY`] if another process has it open.
///
/// Connecting executes no statement that reads the file. If such a statement failed, sqlx would
/// close the connection on another thread, which might delete a log after this function returned.
async fn open_exclusively(file: &Path) -> Result<DatabaseConnection, DbErr> {
    let name = file.to_owned();
    let mut options = ConnectOptions::new("sqlite:database");
    basic(&mut options).max_connections(1).map_sqlx_sqlite_opts(move |sqlite| {
        sqlite.filename(&name).foreign_keys(false).busy_timeout(Duration::from_secs(2))
    });
    let connection = Database::connect(options).await?;
    // Closing the connection rolls the transaction back.
    let opened = "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE";
    if let Err(error) = connection.execute_unprepared(opened).await {
        close(&connection).await;
        return Err(error);
    }
    Ok(connection)
}
