//! Reads CSV (RFC 4180) whose first line has the names of the columns.

use std::collections::BTreeSet;
use std::io::Read;

use anyhow::{Context, bail};
use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use serde_json::{Map, Value};

use crate::cli::import::batch::{Batches, Record};
use crate::cli::import::limit::Progress;
use crate::domain::import::Refusal;

/// Reads all records. A record with more or fewer columns than names is refused, and the next
/// record is read.
pub(super) fn read(
    input: impl Read,
    batches: &mut Batches,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut reader = ReaderBuilder::new().from_reader(input);
    progress.start_record();
    let names = reader.headers().context("the first line of the CSV file cannot be read")?;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        bail!("two columns of the CSV file have the same name");
    }
    let mut record = ByteRecord::new();
    loop {
        progress.start_record();
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                batches.push(line, to_object(&names, &record))?;
            }
            Err(error) => {
                let ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() else {
                    let place = format!("the CSV file cannot be read after line {line}");
                    return Err(error).context(place);
                };
                let reason = format!("the record has {len} columns instead of {expected_len}");
                let line = error.position().map_or(line, csv::Position::line);
                batches.push(line, Err(Refusal::NotARecord(reason).into()))?;
            }
        }
    }
}

fn to_object(names: &[String], record: &ByteRecord) -> Record {
    let mut object = Map::new();
    for (name, field) in names.iter().zip(record) {
        let text = std::str::from_utf8(field);
        let text = text.map_err(|_| Refusal::NotARecord("the record is not UTF-8".to_owned()))?;
        object.insert(name.clone(), Value::String(text.to_owned()));
    }
    Ok(object)
}
