//! Limits the size of a record, so that a damaged file cannot use all memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Longest record, in bytes.
pub(super) const MAX_RECORD: u64 = 1_024 * 1_024;

/// How much has been read from a file.
#[derive(Clone, Default)]
pub(super) struct Progress {
    /// Bytes from the beginning of the file.
    pub(super) total: Rc<Cell<u64>>,
    /// Bytes since the beginning of the current record; `None` outside of the records, where the
    /// size is not limited.
    record: Rc<Cell<Option<u64>>>,
}

impl Progress {
    /// Must be called before each record.
    pub(super) fn start_record(&self) {
        self.record.set(Some(0));
    }

    /// Must be called where text follows that is not part of a record.
    pub(super) fn end_records(&self) {
        self.record.set(None);
    }
}

/// A reader that fails when the current record exceeds [`MAX_RECORD`].
pub(super) struct Limited<R> {
    inner: R,
    progress: Progress,
}

impl<R> Limited<R> {
    pub(super) fn new(inner: R, progress: &Progress) -> Self {
        Self { inner, progress: progress.clone() }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.progress.total.set(self.progress.total.get().saturating_add(bytes));
        if let Some(before) = self.progress.record.get() {
            let size = before.saturating_add(bytes);
            if size > MAX_RECORD {
                return Err(io::Error::other("a record is longer than 1 MiB"));
            }
            self.progress.record.set(Some(size));
        }
        Ok(read)
    }
}
