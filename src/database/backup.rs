//! Online backup of a SQLite database: a consistent copy in one file, written while servers run.

use std::io;
use std::path::{Path, PathBuf};

use sea_orm::DbErr;
use uuid::Uuid;

use crate::config::DatabaseSettings;
use crate::database::backup_file::check_magic;
use crate::database::file::{ConnectError, prepare_file};
use crate::database::new_file::NewFile;
use crate::database::options::{Access, close, connect_with_retry, sqlite_options};
use crate::database::sql;

/// Why no backup was made. An existing file at its path is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file at the path of the backup.
    #[error("{0} exists; pass --overwrite to replace it. No backup was made")]
    Exists(PathBuf),
    /// The path names a folder, a symbolic link or a device.
    #[error("{0} is not a regular file, so it is not replaced. No backup was made")]
    NotAFile(PathBuf),
    /// The path names the database itself, or one of its files.
    #[error("{0} belongs to the database itself: name another file. No backup was made")]
    IsDatabase(PathBuf),
    /// The path names a file of another kind, such as the master key.
    #[error("{0} is not a backup, so it is not replaced: name another file. No backup was made")]
    NotABackup(PathBuf),
    /// The file cannot be written.
    #[error("cannot write the backup {file}: {source}. No backup was made")]
    File {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database cannot be copied, for example because the disk is full.
    #[error("the database could not be copied: {0}. No backup was made")]
    Database(#[from] DbErr),
}

/// A complete backup under a temporary name, until [`Draft::publish`].
#[derive(Debug)]
pub struct Draft(NewFile);

/// Copies the database to a temporary file with mode 0600 in the folder of `target`. `id` makes the
/// temporary name unique.
///
/// The copy is the state of one moment. It contains every transaction that was acknowledged before
/// the call. Other transactions continue while the copy is made.
///
/// # Errors
/// See [`BackupError`].
pub async fn draft_backup(
    settings: &DatabaseSettings,
    target: &Path,
    may_replace: bool,
    id: Uuid,
) -> Result<Draft, BackupError> {
    let failed = |source| BackupError::File { file: target.to_owned(), source };
    let Some(database) = settings.database_url.sqlite_file() else {
        return Err(DbErr::Custom("only SQLite is copied to a file".to_owned()).into());
    };
    if !database.exists() {
        return Err(ConnectError::Absent { file: database }.into());
    }
    prepare_file(&database)?;
    // SQLite would read a relative path that starts with `file:` as a URI.
    let target = std::path::absolute(target).map_err(failed)?;
    check_target(&target, &database, may_replace)?;
    // `VACUUM INTO` accepts an empty file. A file that SQLite creates would have another mode.
    let draft = Draft(NewFile::create(&target, may_replace, id).map_err(failed)?);
    draft.fill(settings).await?;
    Ok(draft)
}

/// Refuses a target that exists, unless it may be replaced and is a backup or an empty file.
fn check_target(target: &Path, database: &Path, may_replace: bool) -> Result<(), BackupError> {
    let found = match target.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BackupError::File { file: target.to_owned(), source }),
        Ok(found) => found,
    };
    if !found.is_file() {
        return Err(BackupError::NotAFile(target.to_owned()));
    }
    if !may_replace {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (target, database) = (canonical(target), canonical(database));
    let suffix = target.as_os_str().to_str().zip(database.to_str());
    let suffix = suffix.and_then(|(target, database)| target.strip_prefix(database));
    match suffix {
        Some("" | "-wal" | "-shm" | "-journal" | "-lock" | "-reserve") => {
            Err(BackupError::IsDatabase(target))
        }
        _ if found.len() > 0 && check_magic(&target).is_err() => {
            Err(BackupError::NotABackup(target))
        }
        _ => Ok(()),
    }
}

impl Draft {
    /// The temporary file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    async fn fill(&self, settings: &DatabaseSettings) -> Result<(), BackupError> {
        let Some(path) = self.path().to_str() else {
            let (file, source) =
                (self.0.target().to_owned(), io::Error::other("its path is not valid Unicode"));
            return Err(BackupError::File { file, source });
        };
        let url = settings.database_url.expose();
        let wait = std::time::Duration::from_secs(settings.database_wait_seconds);
        let options = sqlite_options(url, 1, Access::Write, wait);
        let connection = connect_with_retry(options).await.map_err(ConnectError::from)?;
        let copied = sql::execute(&connection, "VACUUM INTO $1", [path.into()]).await;
        close(&connection).await;
        Ok(copied.map(drop)?)
    }

    /// Writes the backup to disk, which SQLite does not do itself, and gives it its final name.
    ///
    /// # Errors
    /// [`BackupError::Exists`] if another process has created a file under this name meanwhile, and
    /// `may_replace` is false.
    pub fn publish(self) -> Result<PathBuf, BackupError> {
        let file = self.0.target().to_owned();
        match self.0.publish() {
            Ok(()) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackupError::Exists(file))
            }
            Err(source) => Err(BackupError::File { file, source }),
        }
    }
}
