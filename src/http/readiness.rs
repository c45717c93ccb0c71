//! Whether this instance may get traffic, asked of the database now and then and not by each probe.
//!
//! Whoever asks while a look is under way waits for it, and for a moment afterwards gets the same
//! answer: a crowd of probes costs the database a few questions a second, on one connection. A look
//! goes on if its asker hangs up, so a crowd that does not wait costs no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer is good for. With the time a look may take it stays below the second within which a
/// database that is gone must be noticed.
const MOMENT: Duration = Duration::from_millis(250);

/// Nothing is wrong, or what is: for the log, since a probe's answer may be public.
pub(super) type Finding = Result<(), String>;

/// The last look, shared by all probes.
#[derive(Default)]
pub struct Readiness(Arc<Mutex<Option<(Instant, Finding)>>>);

impl Readiness {
    /// What was found a moment ago, or what `look` finds.
    pub(super) async fn shared(
        &self,
        look: impl Future<Output = Finding> + Send + 'static,
    ) -> Finding {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some((at, finding)) = &*last
            && at.elapsed() < MOMENT
        {
            return finding.clone();
        }
        let looking = tokio::spawn(async move {
            let finding = look.await;
            *last = Some((Instant::now(), finding.clone()));
            finding
        });
        looking.await.unwrap_or_else(|_| Err("the look at the database failed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const LOOK: Duration = Duration::from_millis(20);

    /// A look that takes a while, and counts.
    fn look(count: &Arc<AtomicU32>) -> impl Future<Output = Finding> + Send + use<> {
        let count = Arc::clone(count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            sleep(LOOK).await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_crowd_shares_one_look_and_its_answer_for_a_moment() {
        let (readiness, count) = (Readiness::default(), Arc::new(AtomicU32::new(0)));

        let crowd = join_all((0..500).map(|_| readiness.shared(look(&count)))).await;

        assert!(crowd.iter().all(Result::is_ok));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        sleep(MOMENT).await;
        readiness.shared(look(&count)).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2, "but not for long");
    }

    #[tokio::test]
    async fn a_crowd_that_hangs_up_costs_no_more() {
        let (readiness, count) = (Readiness::default(), Arc::new(AtomicU32::new(0)));

        for _ in 0..100 {
            let _ = timeout(LOOK / 10, readiness.shared(look(&count))).await;
        }

        assert!(count.load(Ordering::SeqCst) <= 2);
    }
}
