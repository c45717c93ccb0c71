//! Waits, by the real clock, for background tasks of servers.

use std::time::{Duration, Instant};

/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns once `condition` is true; fails after the timeout.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < TIMEOUT, "timeout: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
