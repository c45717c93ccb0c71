//! Records on their way from a source to the importer.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};
use tokio::sync::mpsc::Sender;

use crate::domain::import::Refusal;

/// Number of records in a batch.
const SIZE: usize = 2_000;

/// The members of a record, or why it cannot be read.
pub(super) type Record = Result<Map<String, Value>, Unreadable>;

/// A record that cannot be read.
pub(super) struct Unreadable {
    pub(super) refusal: Refusal,
    /// The members that can be read nevertheless, to identify the record.
    pub(super) members: Map<String, Value>,
}

impl From<Refusal> for Unreadable {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, members: Map::new() }
    }
}

/// Parses a record that is a JSON object. `unit` is the word for it in messages, such as `line`.
pub(super) fn parse(text: &[u8], unit: &str) -> Record {
    let refuse = |reason: String| Err(Refusal::NotARecord(format!("the {unit} {reason}")).into());
    let Ok(text) = std::str::from_utf8(text) else { return refuse("is not UTF-8".to_owned()) };
    match serde_json::from_str(text) {
        Ok(Value::Object(record)) => Ok(record),
        Ok(_) => refuse("is not a JSON object".to_owned()),
        Err(error) if error.is_eof() => refuse("is truncated: its JSON is incomplete".to_owned()),
        Err(error) if error.line() > 1 => {
            let (line, column) = (error.line(), error.column());
            refuse(format!("is not valid JSON at column {column} of its line {line}"))
        }
        Err(error) => refuse(format!("is not valid JSON at column {}", error.column())),
    }
}

/// Consecutive records of a source.
pub(super) struct Batch {
    /// The records, each with its number: of its line, or counted from 1.
    pub(super) records: Vec<(u64, Record)>,
    /// What a number counts, `line` or `record`; `None` if messages identify records by their id.
    pub(super) unit: Option<&'static str>,
    /// How much of the source has been read, in bytes or rows.
    pub(super) position: u64,
}

impl Batch {
    /// The records, each checked by `read`.
    pub(super) fn read<T>(
        &self,
        read: impl Fn(&Map<String, Value>) -> Result<T, Refusal>,
    ) -> Vec<(u64, Result<T, Refusal>)> {
        let read = |record: &Record| match record {
            Ok(record) => read(record),
            Err(unreadable) => Err(unreadable.refusal.clone()),
        };
        self.records.iter().map(|(number, record)| (*number, read(record))).collect()
    }

    /// The place of each record in the source, as messages name it: `prefix`, and then for example
    /// `line 3`. Rows of a table are identified by the column `id_name`.
    pub(super) fn places(&self, prefix: &str, id_name: &str) -> HashMap<u64, String> {
        let place = |(number, record): &(u64, Record)| {
            let members = match record {
                Ok(members) | Err(Unreadable { members, .. }) => members,
            };
            let id = members.get(id_name);
            let place = match (self.unit, id) {
                (Some(unit), _) => format!("{unit} {number}"),
                (None, Some(Value::String(id))) => format!("{id_name} {id}"),
                (None, Some(id)) => format!("{id_name} {id}"),
                (None, None) => format!("row {number}"),
            };
            (*number, format!("{prefix}{place}"))
        };
        self.records.iter().map(place).collect()
    }
}

/// Collects the records of a file into batches, on the thread that reads the file.
pub(super) struct Batches {
    sender: Sender<anyhow::Result<Batch>>,
    records: Vec<(u64, Record)>,
    unit: &'static str,
    position: Rc<Cell<u64>>,
}

/// The importer has stopped, so the rest of the file need not be read.
#[derive(Debug, thiserror::Error)]
#[error("the importer has stopped")]
pub(super) struct Stopped;

impl Batches {
    pub(super) fn new(
        sender: Sender<anyhow::Result<Batch>>,
        unit: &'static str,
        position: Rc<Cell<u64>>,
    ) -> Self {
        Self { sender, records: Vec::with_capacity(SIZE), unit, position }
    }

    /// Adds a record.
    pub(super) fn push(&mut self, number: u64, record: Record) -> Result<(), Stopped> {
        self.records.push((number, record));
        if self.records.len() >= SIZE { self.flush() } else { Ok(()) }
    }

    /// Sends the last records, and the error if the file could not be read to its end.
    pub(super) fn finish(mut self, result: anyhow::Result<()>) {
        if self.flush().is_err() {
            return;
        }
        if let Err(error) = result {
            let _ = self.sender.blocking_send(Err(error));
        }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        if self.records.is_empty() {
            return Ok(());
        }
        let records = std::mem::replace(&mut self.records, Vec::with_capacity(SIZE));
        let batch = Batch { records, unit: Some(self.unit), position: self.position.get() };
        self.sender.blocking_send(Ok(batch)).map_err(|_| Stopped)
    }
}
