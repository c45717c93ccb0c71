//! Exponential back-off.

use std::time::Duration;

/// Wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Longest wait.
const LAST_WAIT: Duration = Duration::from_hours(1);

/// How long to wait after this many consecutive failures.
pub(super) fn wait_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_WAIT.saturating_mul(doubled).min(LAST_WAIT)
}
