//! Reads a JSON array of records, or an object with such an array as its member `users`. Of each
//! record, first its end is found, and then it is parsed. So a record that cannot be read is
//! refused, and the next one is read.

use std::fmt;
use std::io::Read;

use anyhow::{Context, bail};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::cli::import::batch::{Batches, parse};
use crate::cli::import::bytes_as_text::{BytesAsText, to_bytes};
use crate::cli::import::limit::Progress;

/// Reads all records. If `is_object`, they are in the member `users` of an object.
pub(super) fn read(
    input: impl Read,
    batches: &mut Batches,
    progress: &Progress,
    is_object: bool,
) -> anyhow::Result<()> {
    let mut reader = serde_json::Deserializer::from_reader(BytesAsText::new(input));
    let mut records = Records { batches, progress, count: 0 };
    let result = if is_object {
        reader.deserialize_map(Users(&mut records))
    } else {
        reader.deserialize_seq(&mut records).map(|()| true)
    };
    let has_records = result.and_then(|found| reader.end().map(|()| found));
    let count = records.count;
    let has_records =
        has_records.with_context(|| format!("cannot read the file after record {count}"))?;
    if !has_records {
        bail!("the file has no member `users`: export the users as well");
    }
    Ok(())
}

/// An array of records.
struct Records<'r> {
    batches: &'r mut Batches,
    progress: &'r Progress,
    count: u64,
}

impl<'de> DeserializeSeed<'de> for &mut Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of accounts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.progress.start_record();
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            self.count += 1;
            let record = parse(&to_bytes(element.get()), "record");
            self.batches.push(self.count, record).map_err(A::Error::custom)?;
            self.progress.start_record();
        }
        self.progress.end_records();
        Ok(())
    }
}

/// Reads the member `users` of an object, and skips the others. The value says whether the object
/// has the member.
struct Users<'r, 'b>(&'r mut Records<'b>);

impl<'de> Visitor<'de> for Users<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the member `users`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut is_found = false;
        while let Some(name) = members.next_key::<String>()? {
            if name == "users" {
                members.next_value_seed(&mut *self.0)?;
                is_found = true;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(is_found)
    }
}
