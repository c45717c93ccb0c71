//! The state file: the highest commit counter that was seen of each database. It is outside the
//! database, so restoring a backup does not reset it.
//!
//! It is written with a delay. So it is normal that the counter of a database is ahead of the file.
//! If the counter is behind the file, the database is an older copy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::database::file::folder_of;
use crate::database::lineage::Lineage;

const HEAD: &str = "# The highest commit counter of each Signet database. Do not restore this file \
                    from a backup: it detects older backups. See \"Restoring a backup\" in \
                    docs/operations.md.\n";

/// The counter that is stored for a database that `signet restored` has replaced. It makes every
/// copy of this database count as older.
const REPLACED: i64 = i64::MAX;

/// How long a write waits for the lock. Other processes hold the lock for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// The state file. Clones use the same temporary file.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    /// The temporary file of this instance, because instances may share the state file.
    temporary: PathBuf,
}

/// The result of comparing a database with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The database has issued nothing yet.
    New,
    /// The database's counter is at least the counter in the file.
    Current,
    /// The database is not in the file.
    Unknown,
    /// The database's counter is behind the counter in the file.
    Older,
}

impl StateFile {
    /// The file at `path`, which need not exist. Each process that writes the file must use a
    /// different `writer` id.
    #[must_use]
    pub fn at(path: PathBuf, writer: Uuid) -> Self {
        let temporary = path.with_extension(format!("{}.new", writer.simple()));
        Self { path, temporary }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares a database with the file. A missing file counts as empty.
    ///
    /// # Errors
    /// If the file exists and cannot be read or parsed.
    pub fn compare(&self, lineage: &Lineage) -> io::Result<Comparison> {
        let Some(name) = lineage.name() else { return Ok(Comparison::New) };
        Ok(match self.read()?.get(&name) {
            None => Comparison::Unknown,
            Some(seen) if lineage.commits < *seen => Comparison::Older,
            Some(_) => Comparison::Current,
        })
    }

    /// Records the counter of a database, unless the file has a higher one. Entries of other
    /// databases stay.
    ///
    /// # Errors
    /// If the file cannot be written. A file that cannot be parsed is replaced.
    pub fn note(&self, name: &str, commits: i64) -> io::Result<()> {
        self.update(name, commits, |before| before < commits).map(drop)
    }

    /// Records the counter of a database in use. Returns true if the file said that the database
    /// had been replaced, which means that `signet restored` was run on a copy of it.
    ///
    /// # Errors
    /// As [`StateFile::note`].
    pub fn record_in_use(&self, name: &str, commits: i64) -> io::Result<bool> {
        let is_stale = |before| before < commits || before == REPLACED;
        Ok(self.update(name, commits, is_stale)? == Some(REPLACED))
    }

    /// Writes the counter if the file has none for this database, or if `is_stale` returns true for
    /// the one it has. Returns the counter that the file had.
    fn update(
        &self,
        name: &str,
        commits: i64,
        is_stale: impl Fn(i64) -> bool,
    ) -> io::Result<Option<i64>> {
        let _lock = self.lock();
        let mut seen = match self.read() {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => BTreeMap::new(),
            seen => seen?,
        };
        let before = seen.insert(name.to_owned(), commits);
        if before.is_none_or(is_stale) {
            let mut text = HEAD.to_owned();
            for (name, commits) in seen {
                let _ = writeln!(text, "{name} {commits}");
            }
            self.replace(&text)?;
        }
        Ok(before)
    }

    /// Whether the file has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read().is_ok_and(|seen| seen.is_empty())
    }

    /// Records that another database has replaced this one.
    ///
    /// # Errors
    /// As [`StateFile::note`].
    pub fn note_replaced(&self, name: &str) -> io::Result<()> {
        self.note(name, REPLACED)
    }

    /// Records the counter of a restored backup whose sessions stay live, even if the file has a
    /// higher counter. The backup then no longer counts as older.
    ///
    /// # Errors
    /// As [`StateFile::note`].
    pub fn accept(&self, name: &str, commits: i64) -> io::Result<()> {
        self.update(name, commits, |_| true).map(drop)
    }

    /// Whether this process could write the file. Changes nothing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        rustix::fs::access(self.folder(), rustix::fs::Access::WRITE_OK).is_ok()
    }

    /// Whether the file is in the folder of a SQLite database. Then it is likely to be restored
    /// from the same backup.
    #[must_use]
    pub fn is_beside(&self, database: &Path) -> bool {
        let canonical = |path: &Path| path.canonicalize().ok();
        let folder = canonical(self.folder());
        folder.is_some() && folder == canonical(folder_of(database))
    }

    fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    /// Prevents other processes from writing until the returned file is dropped. Otherwise an entry
    /// that another process writes between this process's read and write would be lost.
    ///
    /// Returns `None` after [`LOCK_WAIT`], or if folders cannot be locked. Then a lost entry is
    /// missing until the other process writes it again.
    #[expect(
        clippy::disallowed_methods,
        reason = "only called outside of the async runtime, where files are written"
    )]
    fn lock(&self) -> Option<File> {
        let folder = File::open(self.folder()).ok()?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match folder.try_lock() {
                Ok(()) => return Some(folder),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return None,
            }
        }
    }

    fn read(&self) -> io::Result<BTreeMap<String, i64>> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            text => text?,
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, commits) = line.split_once(' ')?;
                Some((name.to_owned(), commits.parse().ok()?))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
    }

    /// Replaces the file atomically. If this fails, the old file remains.
    fn replace(&self, text: &str) -> io::Result<()> {
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&self.temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&self.temporary, &self.path)
        };
        if let Err(error) = write() {
            let _ = std::fs::remove_file(&self.temporary);
            return Err(error);
        }
        File::open(self.folder())?.sync_all()
    }
}
