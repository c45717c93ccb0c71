//! Reads the members of a record. Other systems write numbers and booleans as text.

use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::domain::import::refusal::Refusal;
use crate::timestamp::Timestamp;

/// The members of a record.
pub(super) type Record = Map<String, Value>;

/// A text or a number as text. `None` if the member is missing, null or empty.
pub(super) fn text(record: &Record, name: &str) -> Result<Option<String>, Refusal> {
    match record.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(Refusal::Member(name.to_owned())),
    }
}

/// A boolean, also as `1`, `t`, `yes` or `true`, `0`, `f`, `no` or `false`, in any case. `None` if
/// it is missing.
pub(super) fn boolean(record: &Record, name: &str) -> Result<Option<bool>, Refusal> {
    if let Some(Value::Bool(value)) = record.get(name) {
        return Ok(Some(*value));
    }
    match text(record, name)?.map(|text| text.to_ascii_lowercase()).as_deref() {
        None => Ok(None),
        Some("true" | "t" | "1" | "yes") => Ok(Some(true)),
        Some("false" | "f" | "0" | "no") => Ok(Some(false)),
        Some(_) => Err(Refusal::Member(name.to_owned())),
    }
}

/// A point in time until the year 9999: in the notation of RFC 3339, also with a space instead of
/// `T`, without seconds, or without an offset (then in UTC); or in milliseconds since the Unix
/// epoch. `None` if it is missing.
pub(super) fn time(record: &Record, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = text(record, name)? else { return Ok(None) };
    parse_time(&text).map(Some).ok_or_else(|| Refusal::Member(name.to_owned()))
}

/// A point in time in one of the notations of [`time()`].
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let nanos = text.parse::<i128>().ok()?.checked_mul(1_000_000)?;
        return OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().map(Timestamp::from);
    }
    let (date, clock) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) = match clock.find(['+', '-', 'Z', 'z', ' ']) {
        Some(at) => clock.split_at(at),
        None => (clock, ""),
    };
    let offset = offset.trim();
    // PostgreSQL writes `+00`, SQLite and Python write no offset.
    let offset = match offset.len() {
        0 => "Z".to_owned(),
        3 => format!("{offset}:00"),
        _ => offset.to_owned(),
    };
    let parse =
        |seconds| OffsetDateTime::parse(&format!("{date}T{clock}{seconds}{offset}"), &Rfc3339);
    let at = parse("").or_else(|_| parse(":00")).ok()?.checked_to_offset(UtcOffset::UTC)?;
    (0..=9_999).contains(&at.year()).then(|| at.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(value: &Value) -> Record {
        json!({ "it": value }).as_object().unwrap().clone()
    }

    #[test]
    fn times_of_other_systems_are_read() {
        let expected = Timestamp::from_micros(1_768_384_800_123_000);
        for value in [
            json!("2026-01-14T10:00:00.123Z"),
            json!("2026-01-14T11:00:00.123+01:00"),
            json!("2026-01-14 10:00:00.123+00"),
            json!("2026-01-14 10:00:00.123000"),
            json!("2026-01-14T10:00:00.123"),
            json!("2026-01-14 10:00:00.123 +00:00"),
            json!("1768384800123"),
            json!(1_768_384_800_123_u64),
        ] {
            assert_eq!(time(&record(&value), "it"), Ok(Some(expected)), "{value}");
        }
        let whole_minute = Timestamp::from_micros(1_768_384_800_000_000);
        for value in ["2026-01-14T10:00", "2026-01-14 12:00+02:00", "2026-01-14T09:00-01"] {
            assert_eq!(parse_time(value), Some(whole_minute), "{value}");
        }
        for value in [
            json!("yesterday"),
            json!("2026-01-14"),
            json!("2026-13-14T10:00:00Z"),
            json!("9999-12-31T23:59:59-01:00"),
            json!("0000-01-01T00:00:00+01:00"),
            json!(1_768_384_800_123_456_u64),
            json!({}),
        ] {
            assert!(time(&record(&value), "it").is_err(), "{value}");
        }
        for value in [json!(null), json!("")] {
            assert_eq!(time(&record(&value), "it"), Ok(None));
        }
    }

    #[test]
    fn booleans_of_other_systems_are_read() {
        for (value, expected) in [
            (json!(true), Some(true)),
            (json!("True"), Some(true)),
            (json!("t"), Some(true)),
            (json!(1), Some(true)),
            (json!("f"), Some(false)),
            (json!(0), Some(false)),
            (json!(null), None),
        ] {
            assert_eq!(boolean(&record(&value), "it"), Ok(expected), "{value}");
        }
        assert!(boolean(&record(&json!("maybe")), "it").is_err());
    }
}
