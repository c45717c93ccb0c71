//! One document of the issuer's: what is held of it, and the one fetch that may be under way.

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

/// How long a fetch that failed is not repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The same while there are no keys at all, and so nothing works.
pub(super) const RETRY_PAUSE_AT_START: Duration = Duration::from_secs(1);

/// How long a new copy is waited for where the old one will do.
const PATIENCE: Duration = Duration::from_secs(1);

/// A copy of a document.
#[derive(Clone)]
pub(super) struct Held<T> {
    pub(super) value: T,
    pub(super) etag: Option<HeaderValue>,
    /// How old it may grow.
    pub(super) life: Duration,
    /// When it was asked for, on the monotonic clock: a copy is as old as the question.
    pub(super) asked_at: Duration,
}

impl<T> Held<T> {
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.asked_at) < self.life
    }
}

/// How many fetches had ended at some moment; tells whether one has ended since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u64);

/// Why somebody asks for a fetch.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// Nothing is held, or it is too old.
    Age,
    /// It lacks a key, which may have been made up: granted once in this time.
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

/// Waits for a renewal, but no longer than a second if what is held may be used at its end. The
/// fetch goes on in its own task, and what it brings is held when it comes.
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

/// Reading takes no lock. Whoever fetches holds the schedule, and whoever needs what is being
/// fetched waits for it.
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

    /// Waits for a fetch that is under way, or makes one: unless one has ended since `looked_at`,
    /// or the next may not begin yet. Afterwards look at what is held.
    ///
    /// The fetch runs in a task of its own. A caller who goes away must not take from others what
    /// they wait for, nor get a fetch for each time he comes.
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
        // It is only ever cut off by the end of the runtime.
        task.await.ok();
    }

    fn pause(&self) -> Duration {
        if self.held.load().is_some() { RETRY_PAUSE } else { self.pause_while_empty }
    }
}
