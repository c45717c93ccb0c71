//! Reads and checks the next records while the previous ones are written.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tokio::sync::mpsc::{self, Receiver};

use crate::cli::import::source::Source;
use crate::domain::import::Refusal;

/// Records that were checked.
pub(super) struct Checked<T> {
    /// The records, by their numbers.
    pub(super) records: Vec<(u64, Result<T, Refusal>)>,
    /// The place of each record in the source, as messages name it, by its number.
    pub(super) places: HashMap<u64, String>,
    /// How much of the source has been read, in bytes or rows.
    pub(super) position: u64,
}

/// Reads all records of a source and checks them by `read`, in a task of its own. Rows of a table are
/// identified by the column `id_name`, and all places begin with `prefix`.
pub(super) fn check<T: Send + 'static>(
    mut source: Source,
    prefix: String,
    id_name: String,
    read: impl Fn(&Map<String, Value>) -> Result<T, Refusal> + Send + 'static,
) -> Receiver<anyhow::Result<Checked<T>>> {
    let (sender, checked) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(batch) = source.next().await.transpose() {
            let checked = batch.map(|batch| Checked {
                records: batch.read(&read),
                places: batch.places(&prefix, &id_name),
                position: batch.position,
            });
            let is_last = checked.is_err();
            // The importer stops receiving if the database fails.
            if sender.send(checked).await.is_err() || is_last {
                return;
            }
        }
    });
    checked
}
