//! Reserved disk space, released when the disk is full so that a logout or a kill switch can still
//! be written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::database::file::beside;

/// Enough for the write-ahead log of thousands of small transactions.
const SIZE: usize = 4 * 1024 * 1024;

/// A file beside the database that occupies the reserved space.
pub(super) struct Reserve(PathBuf);

impl Reserve {
    pub(super) fn beside(database: &Path) -> Self {
        Self(beside(database, "-reserve"))
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.metadata().is_ok_and(|file| file.len() >= SIZE as u64)
    }

    /// Allocates the reserve again. False if there is no space.
    pub(super) async fn take(&self) -> bool {
        let path = self.0.clone();
        #[expect(clippy::disallowed_methods, reason = "one at a time, and seldom")]
        let taking = tokio::task::spawn_blocking(move || {
            let taken = allocate(&path);
            if taken.is_err() {
                // A partial reserve would only take space from others.
                drop(std::fs::remove_file(&path));
            }
            taken.is_ok()
        });
        taking.await.unwrap_or(false)
    }

    pub(super) fn give_up(&self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the reserved disk space could not be released");
        }
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // Written rather than only allocated: not every file system supports preallocation.
    file.write_all(&vec![0; SIZE])?;
    file.sync_all()
}
