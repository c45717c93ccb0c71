//! Readiness of this instance. Concurrent probes share one check of the database.
//!
//! Probes wait for a check in progress, and its result is cached for a moment. So any number of
//! probes causes only a few queries per second, on one connection. A check continues if its probe
//! disconnects, so probes that disconnect early cause no additional checks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a result is cached. The loss of the database must be detected within one second, so
/// this time plus the timeout of a check must be less.
const CACHE_LIFETIME: Duration = Duration::from_millis(250);

/// `Ok` if the instance is ready, otherwise the reason. The reason is for the log, since the
/// response to a probe may be public.
pub(super) type Finding = Result<(), String>;

/// The last check, shared by all probes.
#[derive(Default)]
pub struct Readiness(Arc<Mutex<Option<(Instant, Finding)>>>);

impl Readiness {
    /// The cached result, or the result of `check`.
    pub(super) async fn shared(
        &self,
        check: impl Future<Output = Finding> + Send + 'static,
    ) -> Finding {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some((at, finding)) = &*last
            && at.elapsed() < CACHE_LIFETIME
        {
            return finding.clone();
        }
        let checking = tokio::spawn(async move {
            let finding = check.await;
            *last = Some((Instant::now(), finding.clone()));
            finding
        });
        checking.await.unwrap_or_else(|_| Err("the database check failed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const CHECK_TIME: Duration = Duration::from_millis(20);

    /// A check that takes a while, and is counted.
    fn slow_check(count: &Arc<AtomicU32>) -> impl Future<Output = Finding> + Send + use<> {
        let count = Arc::clone(count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            sleep(CHECK_TIME).await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn concurrent_probes_share_one_check_and_its_cached_result() {
        let (readiness, count) = (Readiness::default(), Arc::new(AtomicU32::new(0)));

        let crowd = join_all((0..500).map(|_| readiness.shared(slow_check(&count)))).await;

        assert!(crowd.iter().all(Result::is_ok));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        sleep(CACHE_LIFETIME).await;
        readiness.shared(slow_check(&count)).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2, "the cached result expires");
    }

    #[tokio::test]
    async fn disconnected_probes_cause_no_further_checks() {
        let (readiness, count) = (Readiness::default(), Arc::new(AtomicU32::new(0)));

        for _ in 0..100 {
            let _ = timeout(CHECK_TIME / 10, readiness.shared(slow_check(&count))).await;
        }

        assert!(count.load(Ordering::SeqCst) <= 2);
    }
}
