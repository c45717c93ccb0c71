//! Exponential back-off.

use std::time::Duration;

/// The first wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait.
const LAST_WAIT: Duration = Duration::from_hours(1);

/// How long to wait after so many failures in a row.
pub(super) fn wait_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_WAIT.saturating_mul(doubled).min(LAST_WAIT)
}
