//! Reads NDJSON: a JSON object on each line. A line that cannot be read is refused, and the next line
//! is read.

use std::io::{self, BufRead, Read};

use crate::cli::import::batch::{Batches, Record, parse};
use crate::cli::import::limit::MAX_RECORD;
use crate::domain::import::Refusal;

/// Reads all lines. Calls `consumed` with the number of bytes of each line.
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
            batches.push(number, parse(text, "line"))?;
        }
    }
    Ok(())
}

fn refuse(reason: &str) -> Record {
    Err(Refusal::NotARecord(reason.to_owned()).into())
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
