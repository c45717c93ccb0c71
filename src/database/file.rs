//! SQLite's database file: its creation with mode 0600, and the check of its mode.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sea_orm::DbErr;

use crate::database::message::message_of;

/// The folder in the default `SIGNET_DATABASE_URL`; it is created if missing.
const DEFAULT_FOLDER: &str = "data";

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Other users of this host could read password hashes.
    #[error("{file} can be read by other users of this host; run: chmod 600 {file}")]
    Exposed {
        /// The database file.
        file: PathBuf,
    },
    /// There is no database file, and this command must not create one.
    #[error(
        "there is no database file {file}; correct SIGNET_DATABASE_URL, or create the file with \
         `signet migrate up`. Nothing was created"
    )]
    Absent {
        /// The database file.
        file: PathBuf,
    },
    /// The folder of the database file does not exist. Only the default folder is created, because
    /// a mistyped path must not become a new, empty database.
    #[error(
        "the folder {folder} for the database file does not exist: create it, or correct \
         SIGNET_DATABASE_URL. Nothing was created"
    )]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The database file cannot be created or inspected.
    #[error("cannot open the database file {file}: {source}")]
    File {
        /// The database file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The database does not respond, or refuses the connection.
    #[error("cannot connect to the database of SIGNET_DATABASE_URL: {0}")]
    Connect(String),
}

impl From<DbErr> for ConnectError {
    fn from(error: DbErr) -> Self {
        Self::Connect(message_of(&error))
    }
}

/// Creates the database file with mode 0600 (SQLite gives `-wal` and `-shm` the same mode), or
/// checks the mode of an existing one.
pub(super) fn prepare_file(file: &Path) -> Result<(), ConnectError> {
    prepare_folder(file)?;
    let failed = |source| ConnectError::File { file: file.to_owned(), source };
    let metadata = open_private(file).and_then(|file| file.metadata()).map_err(failed)?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(ConnectError::Exposed { file: file.to_owned() });
    }
    Ok(())
}

/// Creates the default folder of the database file. Any other folder must exist.
pub(super) fn prepare_folder(file: &Path) -> Result<(), ConnectError> {
    let failed = |source| ConnectError::File { file: file.to_owned(), source };
    if let Some(folder) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        if folder == Path::new(DEFAULT_FOLDER) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        } else if !folder.exists() {
            return Err(ConnectError::NoFolder { folder: folder.to_owned() });
        }
    }
    Ok(())
}

/// Opens a file for reading and writing, and creates a missing one with mode 0600.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The path of the database file with `suffix` appended to its name.
pub(super) fn path_with_suffix(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of a file; `.` for a name without a folder.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a file, which may be missing.
pub(super) fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes the names in the folder of `path` survive a power failure.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Renames a file, and fails if there is a file at the new path.
pub(super) fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(error) if is_unsupported(error) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        result => Ok(result?),
    }
}

/// Whether the file system or the kernel does not know a flag of `renameat2`.
pub(super) fn is_unsupported(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}
