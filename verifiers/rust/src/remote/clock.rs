//! The two times a remote verifier needs: what the tokens' times are compared with, and what
//! ages are measured with.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

/// Tells the time. A test may bring its own.
pub trait Clock: Send + Sync {
    /// Seconds since the Unix epoch.
    fn unix_seconds(&self) -> u64;

    /// Time since some fixed moment, which nobody can set back.
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
        // A clock before 1970 makes every token one of the future.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }

    fn monotonic(&self) -> Duration {
        self.started_at.elapsed()
    }
}
