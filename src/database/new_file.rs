//! A file that gets its name when it is complete, so that a process that is killed leaves no
//! incomplete file under this name.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::database::file::{remove_if_present, rename_without_replacing, sync_folder_of};

/// A file with mode 0600 under a temporary name, until [`NewFile::publish`]. Dropping the value
/// before that removes the file. If the process is killed, the file remains.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    may_replace: bool,
}

impl NewFile {
    /// Creates the file in the folder of `target`. Its temporary name is that of `target`, with the
    /// extension replaced by `id` and `.new`. `id` must be unique.
    ///
    /// # Errors
    /// `AlreadyExists` if there is a file at `target`, and it must not be replaced. Any other error
    /// of the operating system.
    pub fn create(target: &Path, may_replace: bool, id: Uuid) -> io::Result<Self> {
        if !may_replace && target.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let temporary = target.with_extension(format!("{}.new", id.simple()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { file, temporary, target: target.to_owned(), may_replace })
    }

    /// The file, opened for writing.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The temporary path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// The final path.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Writes the file to disk and gives it its final name.
    ///
    /// # Errors
    /// `AlreadyExists` if a file was created there meanwhile, and it must not be replaced. Any
    /// other error of the operating system.
    pub fn publish(self) -> io::Result<()> {
        self.file.sync_all()?;
        if self.may_replace {
            std::fs::rename(&self.temporary, &self.target)?;
        } else {
            rename_without_replacing(&self.temporary, &self.target)?;
        }
        sync_folder_of(&self.target)
    }
}

/// Removes the temporary file, which no longer exists after [`NewFile::publish`].
impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = remove_if_present(&self.temporary);
    }
}
