//! Reserved disk space. It is released when the disk is full, so that a logout or the kill switch,
//! which ends all sessions of an account, can still be written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::database::file::path_with_suffix;

/// Size of the reserve in bytes, enough for the write-ahead log of hundreds of small transactions.
const SIZE: usize = 4 * 1024 * 1024;

/// A file beside the database that occupies the reserved space.
pub(super) struct Reserve(PathBuf);

impl Reserve {
    pub(super) fn beside(database: &Path) -> Self {
        Self(path_with_suffix(database, "-reserve"))
    }

    pub(super) fn is_allocated(&self) -> bool {
        self.0.metadata().is_ok_and(|file| file.len() >= SIZE as u64)
    }

    /// Allocates the reserve again. False if there is no space.
    pub(super) async fn allocate(&self) -> bool {
        let path = self.0.clone();
        #[expect(clippy::disallowed_methods, reason = "one call at a time, and rarely")]
        let task = tokio::task::spawn_blocking(move || {
            let written = write_zeros(&path);
            if written.is_err() {
                // A partial reserve would only occupy space.
                drop(std::fs::remove_file(&path));
            }
            written.is_ok()
        });
        task.await.unwrap_or(false)
    }

    pub(super) fn release(&self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the reserved disk space could not be released");
        }
    }
}

fn write_zeros(path: &Path) -> io::Result<()> {
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // The space is written, because not every file system supports preallocation.
    file.write_all(&vec![0; SIZE])?;
    file.sync_all()
}
