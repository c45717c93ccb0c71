//! The cache of one document of the issuer, with at most one fetch at a time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::remote::clock::Clock;

/// Minimum time between a failed fetch and the next one.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The same while there is no key set at all, so that no token can be checked.
pub(super) const RETRY_PAUSE_AT_START: Duration = Duration::from_secs(1);

/// How long to wait for a new copy if the cached one may still be used.
const PATIENCE: Duration = Duration::from_secs(1);

/// A cached copy of a document.
#[derive(Clone)]
pub(super) struct Held<T> {
    pub(super) value: T,
    pub(super) etag: Option<HeaderValue>,
    /// How long it is fresh.
    pub(super) life: Duration,
    /// When the request was sent, on the monotonic clock: a copy is as old as its request.
    pub(super) asked_at: Duration,
}

impl<T> Held<T> {
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.asked_at) < self.life
    }
}

/// The number of fetches that had ended at some moment; shows whether one has ended since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u64);

/// Why a fetch is requested.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// Nothing is cached, or it is stale.
    Age,
    /// A key is missing, whose `kid` may have been invented: granted once in this time.
    UnknownKey(Duration),
}

/// When the next fetch may begin, on the monotonic clock.
#[derive(Default)]
struct Schedule {
    not_before: Duration,
    not_before_for_unknown_key: Duration,
}

impl Schedule {
    fn grants(&mut self, cause: Cause, now: Duration) -> bool {
        if now < self.not_before {
            return false;
        }
        if let Cause::UnknownKey(cool_down) = cause {
            if now < self.not_before_for_unknown_key {
                return false;
            }
            self.not_before_for_unknown_key = now.saturating_add(cool_down);
        }
        true
    }
}

/// Waits for a renewal, but at most a second if the cached copy may be used at the end of it. The
/// fetch continues in its own task, and its result is cached when it arrives.
pub(super) async fn unless_it_lasts(
    renewal: impl Future<Output = ()>,
    may_use_held: impl Fn() -> bool,
) {
    let mut renewal = pin!(renewal);
    if may_use_held() {
        let has_ended = timeout(PATIENCE, renewal.as_mut()).await.is_ok();
        if has_ended || may_use_held() {
            return;
        }
    }
    renewal.await;
}

/// Reading takes no lock. A fetch locks the schedule, and callers that need its result wait for
/// that lock.
pub(super) struct Slot<T> {
    held: ArcSwapOption<Held<T>>,
    ended: AtomicU64,
    schedule: Arc<Mutex<Schedule>>,
    pause_while_empty: Duration,
}

impl<T: Send + Sync + 'static> Slot<T> {
    pub(super) fn new() -> Self {
        Self::with_pause_while_empty(RETRY_PAUSE)
    }

    pub(super) fn with_pause_while_empty(pause_while_empty: Duration) -> Self {
        Self {
            held: ArcSwapOption::empty(),
            ended: AtomicU64::new(0),
            schedule: Arc::default(),
            pause_while_empty,
        }
    }

    pub(super) fn held(&self) -> Option<Arc<Held<T>>> {
        self.held.load_full()
    }

    pub(super) fn moment(&self) -> Moment {
        Moment(self.ended.load(Ordering::Acquire))
    }

    /// Waits for the fetch under way, or starts one, unless one has ended since `looked_at`, or the
    /// next may not begin yet. Read the cached copy afterwards.
    ///
    /// The fetch runs in a task of its own. A caller that is dropped must not cancel it for the
    /// others, nor start a new fetch each time it retries.
    pub(super) async fn renew(
        self: &Arc<Self>,
        looked_at: Moment,
        cause: Cause,
        clock: &Arc<dyn Clock>,
        fetch: impl Future<Output = Option<Held<T>>> + Send + 'static,
    ) {
        let mut schedule = Arc::clone(&self.schedule).lock_owned().await;
        if self.moment() != looked_at || !schedule.grants(cause, clock.monotonic()) {
            return;
        }
        let (slot, clock) = (Arc::clone(self), Arc::clone(clock));
        let task = tokio::spawn(async move {
            match fetch.await {
                Some(held) => slot.held.store(Some(Arc::new(held))),
                None => schedule.not_before = clock.monotonic().saturating_add(slot.pause()),
            }
            slot.ended.fetch_add(1, Ordering::Release);
        });
        // Only the end of the runtime cancels it.
        task.await.ok();
    }

    fn pause(&self) -> Duration {
        if self.held.load().is_some() { RETRY_PAUSE } else { self.pause_while_empty }
    }
}
