//! Ensures that only one `signet serve` uses a SQLite file, with an advisory lock of the operating
//! system on a separate lock file beside the database.
//!
//! The lock is not on the database file itself, because closing any descriptor of that file would
//! release SQLite's POSIX locks. The kernel releases the lock when the process ends, even after a
//! crash. So the lock file is never deleted, and its existence has no meaning.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::DatabaseSettings;
use crate::database::file::{ConnectError, open_private, path_with_suffix, prepare_file};

/// Interval between attempts while another server has the lock.
const RETRY: Duration = Duration::from_millis(50);

/// How long a stopping server may take after its drain time, to close the database and exit.
const CLOSING: Duration = Duration::from_secs(2);

/// Guarantees that only this process serves a database, until the lock is dropped or the process
/// ends. It has no effect on PostgreSQL, where several instances may serve, or on a file system
/// without locks.
#[derive(Debug)]
pub struct ServeLock {
    _file: Option<File>,
}

/// Why this process may not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeLockError {
    /// Another process serves the database.
    #[error(
        "another `signet serve` has the database file {file} in use, and has not ended within {} \
         seconds (SIGNET_DRAIN_SECONDS + 2). Only one instance can use an SQLite file: stop the \
         other one, or use PostgreSQL for several",
        waited.as_secs()
    )]
    InUse {
        /// The database file.
        file: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// The database file has hard links. SQLite would use a separate write-ahead log for each name.
    #[error(
        "the database file {file} has hard links: a server that opened it under another name would \
         damage it. Remove the other links"
    )]
    Linked {
        /// The database file.
        file: PathBuf,
    },
    /// The database file cannot be used.
    #[error(transparent)]
    Database(#[from] ConnectError),
    /// The lock file cannot be created, opened or locked.
    #[error("cannot lock {file}: {source}")]
    File {
        /// The lock file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl ServeLock {
    /// Takes the lock. If another server holds it, waits up to the `drain` time plus two seconds,
    /// so that a server can be replaced without a gap.
    ///
    /// # Errors
    /// See [`ServeLockError`].
    pub async fn take(
        settings: &DatabaseSettings,
        drain: Duration,
    ) -> Result<Self, ServeLockError> {
        let Some(database) = settings.database_url.sqlite_file() else {
            return Ok(Self { _file: None });
        };
        prepare_file(&database)?;
        let links = std::fs::metadata(&database).map_or(1, |found| found.nlink());
        if links > 1 {
            return Err(ServeLockError::Linked { file: database });
        }
        // For a symbolic link, the lock file is beside the target of the link.
        let target = std::fs::canonicalize(&database).unwrap_or_else(|_| database.clone());
        Self::take_beside(&target, drain).await
    }

    /// As [`ServeLock::take`], for the file at `database`, which need not exist and must not be a
    /// symbolic link. Does not create that file.
    ///
    /// # Errors
    /// See [`ServeLockError`].
    pub(super) async fn take_beside(
        database: &Path,
        drain: Duration,
    ) -> Result<Self, ServeLockError> {
        let path = path_with_suffix(database, "-lock");
        let failed = |source| ServeLockError::File { file: path.clone(), source };
        let file = open_private(&path).map_err(failed)?;
        let (began, wait) = (Instant::now(), drain + CLOSING);
        let mut is_first = true;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(
                        file = %path.display(),
                        "this file system has no locks: a second server cannot be prevented"
                    );
                    return Ok(Self { _file: None });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if began.elapsed() >= wait => {
                    return Err(ServeLockError::InUse { file: database.to_owned(), waited: wait });
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if std::mem::take(&mut is_first) {
                tracing::info!(
                    seconds = wait.as_secs(),
                    "another server uses this database; waiting for its end"
                );
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Whether a server has a SQLite file in use, or a command that excludes servers. True if this
/// cannot be told.
pub(super) fn may_be_served(database: &Path) -> bool {
    let target = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    match File::open(path_with_suffix(&target, "-lock")) {
        // Closing the file releases the lock. A server that starts in this moment tries again.
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}
