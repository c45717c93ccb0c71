//! The only type for points in time that are stored or sent. Waits and measurements inside a
//! process use `Instant`.
//!
//! Both databases store a 64-bit integer. So comparison and order are equal in SQL and in Rust, and
//! do not depend on how drivers handle time zones and fractions of a second.

use std::time::Duration;

use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::formatting::Formattable;
use time::macros::format_description;

/// Microseconds since 1970-01-01T00:00:00Z. JSON columns contain this number as well.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, DeriveValueType)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `microseconds` after the epoch.
    #[must_use]
    pub const fn from_micros(microseconds: i64) -> Self {
        Self(microseconds)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: a `NumericDate` (RFC 7519 §2).
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        (self.0 / 1_000_000).unsigned_abs()
    }

    /// This point plus `duration`, saturating at the last point.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This point minus `duration`, saturating at the first point.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// The time from `earlier` to this point, or zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The text in RFC 3339 format, in UTC with whole seconds, as in the JSON API.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.format(&Rfc3339)
    }

    /// The text in RFC 3339 format, in UTC with microseconds, from which the same point can be
    /// read.
    #[must_use]
    pub fn to_rfc3339_exact(self) -> String {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok();
        at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
    }

    /// The text for users in English, in UTC, to the minute: `14 January 2026, 10:00 UTC`.
    #[must_use]
    pub fn in_english(self) -> String {
        self.format(format_description!(
            "[day padding:none] [month repr:long] [year], [hour]:[minute] UTC"
        ))
    }

    /// The text for users in German, in UTC, to the minute: `14.01.2026, 10:00 Uhr (UTC)`.
    #[must_use]
    pub fn in_german(self) -> String {
        self.format(format_description!("[day].[month].[year], [hour]:[minute] Uhr (UTC)"))
    }

    /// The text for users in any language, in UTC, to the minute: `2026-01-14 10:00 UTC`.
    #[must_use]
    pub fn to_minute(self) -> String {
        self.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"))
    }

    fn format(self, format: &(impl Formattable + ?Sized)) -> String {
        let seconds = self.0.div_euclid(1_000_000);
        let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
        at.and_then(|at| at.format(format).ok()).unwrap_or_default()
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_down_and_written_in_utc() {
        let at = Timestamp::from_micros(1_768_384_800_999_999);

        assert_eq!(at.as_seconds(), 1_768_384_800);
        assert_eq!(at.to_rfc3339(), "2026-01-14T10:00:00Z");
    }

    #[test]
    fn arithmetic_never_wraps() {
        let last = Timestamp::from_micros(i64::MAX);

        assert_eq!(last.plus(Duration::MAX), last);
        assert_eq!(Timestamp::from_micros(5).since(Timestamp::from_micros(9)), Duration::ZERO);
    }
}
