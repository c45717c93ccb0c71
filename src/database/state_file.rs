//! The highest commit counter seen of each database, in a file outside the database, which a
//! restore of the database does not bring back.
//!
//! It is written lazily and may lag behind: a database ahead of the file is normal. One behind it
//! is an older copy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::database::lineage::Lineage;

const HEAD: &str = "# How far Signet's databases have got. Do not restore this file with a backup: \
                    it tells an old one. See \"Restoring a backup\" in docs/operations.md.\n";

/// The counter stored for a database that was replaced (`signet restored`): every copy of it counts
/// as older.
const REPLACED: i64 = i64::MAX;

/// How long a write waits for the lock while others write, which takes milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// The file. Clones use the same temporary file.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    /// The temporary file of this instance: instances may share the state file.
    draft: PathBuf,
}

/// What the file says about a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The database has issued nothing yet.
    New,
    /// Its counter is at least the stored one.
    Current,
    /// It is not in the file.
    Unknown,
    /// Its counter is behind the stored one.
    Older,
}

impl StateFile {
    /// The file at `path`, which need not exist. Each process that writes it has its own `writer`
    /// id.
    #[must_use]
    pub fn at(path: PathBuf, writer: Uuid) -> Self {
        let draft = path.with_extension(format!("{}.new", writer.simple()));
        Self { path, draft }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares a database with the file. A missing file counts as empty.
    ///
    /// # Errors
    /// If it exists and cannot be read or parsed.
    pub fn compare(&self, lineage: &Lineage) -> io::Result<Verdict> {
        let Some(name) = lineage.name() else { return Ok(Verdict::New) };
        Ok(match self.read()?.get(&name) {
            None => Verdict::Unknown,
            Some(seen) if lineage.commits < *seen => Verdict::Older,
            Some(_) => Verdict::Current,
        })
    }

    /// Records a database's counter. An existing higher counter and other databases' entries stay.
    ///
    /// # Errors
    /// If the file cannot be written. One that cannot be parsed is replaced.
    pub fn note(&self, name: &str, commits: i64) -> io::Result<()> {
        self.update(name, commits, |before| before < commits).map(drop)
    }

    /// Records the counter of a database in use. `true` if the file said that it had been replaced:
    /// then `signet restored` was run on a copy of it.
    ///
    /// # Errors
    /// As [`StateFile::note`].
    pub fn record_in_use(&self, name: &str, commits: i64) -> io::Result<bool> {
        let is_stale = |before| before < commits || before == REPLACED;
        Ok(self.update(name, commits, is_stale)? == Some(REPLACED))
    }

    /// Writes the counter, if there is none yet or `is_stale` says so of the one in the file.
    /// Returns that one.
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

    /// Whether it has no entry.
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

    /// Whether this process could write it. Changes nothing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        rustix::fs::access(self.folder(), rustix::fs::Access::WRITE_OK).is_ok()
    }

    /// Whether it is in the folder of a SQLite database, and so likely to be restored with it.
    #[must_use]
    pub fn is_beside(&self, database: &Path) -> bool {
        let whole = |path: &Path| path.canonicalize().ok();
        let folder = whole(self.folder());
        folder.is_some() && folder == whole(folder_of(database))
    }

    fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    /// Locks out other writers while the returned file is held: what they write between our read
    /// and write would be lost. Without the lock, after [`LOCK_WAIT`] or where folders cannot be
    /// locked, an entry of theirs may be missing until they write it again.
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

    /// Replaces the file atomically, or leaves the old one.
    fn replace(&self, text: &str) -> io::Result<()> {
        let write = || {
            let mut options = OpenOptions::new();
            let mut draft =
                options.write(true).create(true).truncate(true).mode(0o600).open(&self.draft)?;
            draft.write_all(text.as_bytes())?;
            draft.sync_all()?;
            std::fs::rename(&self.draft, &self.path)
        };
        if let Err(error) = write() {
            let _ = std::fs::remove_file(&self.draft);
            return Err(error);
        }
        File::open(self.folder())?.sync_all()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
