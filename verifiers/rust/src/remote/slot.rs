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

/// The same time before the first key set has been fetched. It is shorter, because no token can be
/// checked until then.
pub(super) const RETRY_PAUSE_AT_START: Duration = Duration::from_secs(1);

/// How long to wait for a new copy if the cached copy may still be used.
const MAX_WAIT_IF_CACHED: Duration = Duration::from_secs(1);

/// A cached copy of a document.
#[derive(Clone)]
pub(super) struct Cached<T> {
    pub(super) value: T,
    pub(super) etag: Option<HeaderValue>,
    /// How long the copy is fresh.
    pub(super) lifetime: Duration,
    /// When the request was sent, on the monotonic clock. The age of the copy counts from then.
    pub(super) requested_at: Duration,
}

impl<T> Cached<T> {
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.requested_at) < self.lifetime
    }
}

/// The number of finished fetches. A change shows that another fetch has finished.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FetchCount(u64);

/// Why a fetch is requested.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// There is no cached copy, or it is stale.
    Age,
    /// A token has an unknown `kid`, which an attacker may have invented. Such fetches are allowed
    /// once in this time.
    UnknownKey(Duration),
}

/// When the next fetch may begin, on the monotonic clock.
#[derive(Default)]
struct Schedule {
    not_before: Duration,
    not_before_for_unknown_key: Duration,
}

impl Schedule {
    fn allows(&mut self, cause: Cause, now: Duration) -> bool {
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

/// Waits for a renewal, but only for a second if the cached copy may still be used afterwards. The
/// fetch continues in its own task, and its result is cached when it arrives.
pub(super) async fn wait_or_use_cached(
    renewal: impl Future<Output = ()>,
    may_use_cached: impl Fn() -> bool,
) {
    let mut renewal = pin!(renewal);
    if may_use_cached() {
        let has_ended = timeout(MAX_WAIT_IF_CACHED, renewal.as_mut()).await.is_ok();
        if has_ended || may_use_cached() {
            return;
        }
    }
    renewal.await;
}

/// The cache of one document. Reading it takes no lock. A fetch locks the schedule, and callers
/// that need its result wait for that lock.
pub(super) struct Slot<T> {
    cached: ArcSwapOption<Cached<T>>,
    fetches: AtomicU64,
    schedule: Arc<Mutex<Schedule>>,
    pause_while_empty: Duration,
}

impl<T: Send + Sync + 'static> Slot<T> {
    pub(super) fn new() -> Self {
        Self::with_pause_while_empty(RETRY_PAUSE)
    }

    pub(super) fn with_pause_while_empty(pause_while_empty: Duration) -> Self {
        Self {
            cached: ArcSwapOption::empty(),
            fetches: AtomicU64::new(0),
            schedule: Arc::default(),
            pause_while_empty,
        }
    }

    pub(super) fn cached(&self) -> Option<Arc<Cached<T>>> {
        self.cached.load_full()
    }

    pub(super) fn fetch_count(&self) -> FetchCount {
        FetchCount(self.fetches.load(Ordering::Acquire))
    }

    /// Waits for the fetch in progress, or starts one. Does nothing if a fetch has finished since
    /// the caller read the count `seen`, or if the next fetch may not start yet. The caller reads
    /// the cached copy afterwards.
    ///
    /// The fetch runs in its own task. If a caller is dropped, other callers still get the result,
    /// and its retry does not start a new fetch.
    pub(super) async fn renew(
        self: &Arc<Self>,
        seen: FetchCount,
        cause: Cause,
        clock: &Arc<dyn Clock>,
        fetch: impl Future<Output = Option<Cached<T>>> + Send + 'static,
    ) {
        let mut schedule = Arc::clone(&self.schedule).lock_owned().await;
        if self.fetch_count() != seen || !schedule.allows(cause, clock.monotonic()) {
            return;
        }
        let (slot, clock) = (Arc::clone(self), Arc::clone(clock));
        let task = tokio::spawn(async move {
            match fetch.await {
                Some(cached) => slot.cached.store(Some(Arc::new(cached))),
                None => schedule.not_before = clock.monotonic().saturating_add(slot.pause()),
            }
            slot.fetches.fetch_add(1, Ordering::Release);
        });
        // The task is cancelled only when the runtime shuts down.
        task.await.ok();
    }

    fn pause(&self) -> Duration {
        if self.cached.load().is_some() { RETRY_PAUSE } else { self.pause_while_empty }
    }
}
