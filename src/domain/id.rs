//! Row identifiers. They are not secrets; `keys`, `refresh` and `secret` create unguessable
//! values.

use std::sync::{Mutex, PoisonError};

use uuid::{ContextV7, Timestamp as UuidTimestamp, Uuid};

use crate::timestamp::Timestamp;

/// Counts the ids of each millisecond, so that ids of this process sort in the order of creation.
static SEQUENCE: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new `UUIDv7` (RFC 9562 §5.7) for `now`. It is unique, and sorts after the earlier ids of this
/// process.
#[must_use]
pub fn new(now: Timestamp) -> Uuid {
    let micros = now.as_micros().unsigned_abs();
    let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
    let sequence = SEQUENCE.lock().unwrap_or_else(PoisonError::into_inner);
    Uuid::new_v7(UuidTimestamp::from_unix(&*sequence, micros / 1_000_000, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_contain_their_millisecond_and_sort_in_creation_order() {
        let now = Timestamp::from_micros(1_768_384_800_123_456);

        let ids: Vec<_> = (0..1_000).map(|_| new(now)).collect();

        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].get_version_num(), 7);
        assert_eq!(ids[0].get_timestamp().unwrap().to_unix(), (1_768_384_800, 123_000_000));
    }
}
