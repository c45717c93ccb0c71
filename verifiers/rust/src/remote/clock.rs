//! The two clocks of a remote verifier: for the times in tokens, and for the age of cached
//! documents.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

/// Reads the time. A test may use its own implementation.
pub trait Clock: Send + Sync {
    /// Seconds since the Unix epoch.
    fn unix_seconds(&self) -> u64;

    /// Time since some fixed moment, on a clock that cannot be set back.
    fn monotonic(&self) -> Duration;
}

/// The host's clocks.
pub(super) struct HostClock {
    started_at: Instant,
}

impl HostClock {
    pub(super) fn new() -> Self {
        Self { started_at: Instant::now() }
    }
}

impl Clock for HostClock {
    #[expect(clippy::disallowed_methods, reason = "this is where a remote verifier reads time")]
    fn unix_seconds(&self) -> u64 {
        // A clock before 1970 makes every token not yet valid.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }

    fn monotonic(&self) -> Duration {
        self.started_at.elapsed()
    }
}
