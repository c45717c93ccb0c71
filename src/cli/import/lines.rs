//! Reads NDJSON: a JSON object on each line. A line that cannot be read is refused, and the next line
//! is read.

use std::io::{self, BufRead, Read};

use serde_json::Value;

use crate::cli::import::batch::{Batches, Record};
use crate::cli::import::limit::MAX_RECORD;
use crate::domain::import::Refusal;

/// Reads all lines. `consumed` is called with the number of bytes of each.
pub(super) fn read(
    mut input: impl BufRead,
    batches: &mut Batches,
    mut consumed: impl FnMut(u64),
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut input).take(MAX_RECORD).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let mut bytes = u64::try_from(read)?;
        let is_too_long = bytes == MAX_RECORD && !line.ends_with(b"\n");
        if is_too_long {
            bytes += skip_line(&mut input)?;
        }
        consumed(bytes);
        let text = line.trim_ascii();
        if is_too_long {
            batches.push(number, refuse("the line is longer than 1 MiB"))?;
        } else if !text.is_empty() {
            batches.push(number, parse(text))?;
        }
    }
    Ok(())
}

fn parse(line: &[u8]) -> Record {
    let Ok(text) = std::str::from_utf8(line) else { return refuse("the line is not UTF-8") };
    match serde_json::from_str(text) {
        Ok(Value::Object(record)) => Ok(record),
        Ok(_) => refuse("the line is not a JSON object"),
        Err(error) if error.is_eof() => refuse("the line is truncated: its JSON is incomplete"),
        Err(error) => refuse(&format!("the line is not valid JSON at column {}", error.column())),
    }
}

fn refuse(reason: &str) -> Record {
    Err(Refusal::NotARecord(reason.to_owned()))
}

/// Skips the rest of a line without storing it. Returns the number of bytes.
fn skip_line(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        let (length, is_end) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(length);
        skipped += u64::try_from(length).unwrap_or(0);
        if is_end {
            return Ok(skipped);
        }
    }
}
