//! One `signet serve` on one SQLite file: an advisory lock of the operating system, on a file beside
//! the database.
//!
//! Not on the database file itself: closing any descriptor of it would drop the POSIX locks that
//! SQLite has on it. The kernel releases the lock however the process ends, so the file is never
//! deleted, and one that is left over means nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::DatabaseSettings;
use crate::database::file::{ConnectError, prepare_file};

/// How often the lock is tried while another server has it.
const RETRY: Duration = Duration::from_millis(50);

/// What a server may take beyond its drain time: it closes the database, and the process ends.
const CLOSING: Duration = Duration::from_secs(2);

/// That this process alone serves a database, until it is dropped or the process ends. On PostgreSQL,
/// where several instances serve, it stands for nothing.
#[derive(Debug)]
pub struct ServeLock {
    _file: Option<File>,
}

/// Why this process may not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeLockError {
    /// Another process serves the database.
    #[error(
        "another `signet serve` has the database file {} in use, and has not ended within {} seconds \
         (SIGNET_DRAIN_SECONDS and two). One SQLite file is for one instance: stop the other one, or \
         use PostgreSQL for several",
        file.display(),
        waited.as_secs()
    )]
    InUse {
        /// The database file.
        file: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// Under each name, SQLite would keep a write-ahead log of its own.
    #[error(
        "the database file {} has hard links: a server that used another of its names would damage \
         it. Remove the others",
        file.display()
    )]
    Linked {
        /// The database file.
        file: PathBuf,
    },
    /// The database file cannot be used.
    #[error(transparent)]
    Database(#[from] ConnectError),
    /// The lock file cannot be made, opened or locked.
    #[error("cannot lock {}: {source}", file.display())]
    File {
        /// The lock file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ServeLock {
    /// Takes the lock; waits for another server that has it for its `drain` time, so that it can be
    /// replaced in order.
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
        let path = beside(&database);
        let failed = |source| ServeLockError::File { file: path.clone(), source };
        let file = open(&path).map_err(failed)?;
        let (began, wait) = (Instant::now(), drain + CLOSING);
        let mut is_first = true;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(
                        file = %path.display(),
                        "this file system has no locks: nothing keeps a second server away"
                    );
                    return Ok(Self { _file: None });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if began.elapsed() >= wait => {
                    return Err(ServeLockError::InUse { file: database, waited: wait });
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if std::mem::take(&mut is_first) {
                tracing::info!(
                    seconds = wait.as_secs(),
                    "another server has this database in use; waiting for its end"
                );
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// The lock file of a database. A symbolic link to a database leads to the lock of what it names.
fn beside(database: &Path) -> PathBuf {
    let database = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let mut name = database.into_os_string();
    name.push("-lock");
    PathBuf::from(name)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
