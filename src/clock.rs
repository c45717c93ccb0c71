//! The only reader of time. Everything else takes `now` as an argument.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::timestamp::Timestamp;

/// A moment of this process, to count from.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Where `now` comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// The clock of the database that all instances share: whatever this host's clock says, or
    /// however it jumps, they agree.
    Shared(SharedClock),
    /// A clock that moves only when told to; for tests.
    Manual(ManualClock),
}

impl Clock {
    /// A clock that follows the database's once it is connected; the system's until then.
    #[must_use]
    pub fn shared() -> Self {
        Self::Shared(SharedClock::default())
    }

    /// The present moment, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one reader of time")]
            Self::System => OffsetDateTime::now_utc().into(),
            Self::Shared(clock) => clock.now(),
            Self::Manual(clock) => clock.now(),
        }
    }

    /// How long this process has run, by the monotonic clock: no change of the time moves it.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        match self {
            Self::System | Self::Shared(_) => STARTED.elapsed(),
            Self::Manual(clock) => clock.uptime(),
        }
    }

    /// Takes over the database's time, just read; a manual clock stays as it is.
    pub fn follow(&self, database_now: Timestamp) {
        if let Self::Shared(clock) = self {
            clock.follow(database_now);
        }
    }
}

/// A clock that was set by another one and goes on by itself; clones share the same time.
#[derive(Debug, Clone, Default)]
pub struct SharedClock(Arc<RwLock<Option<(Timestamp, Instant)>>>);

impl SharedClock {
    /// The time it was set to and what has passed since; the system's until it has been set.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let anchor = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        match anchor {
            Some((at, since)) => at.plus(since.elapsed()),
            None => Clock::System.now(),
        }
    }

    fn follow(&self, database_now: Timestamp) {
        // Counted from the answer's arrival, it is a little behind the database's and never ahead:
        // no token is from the future, and no key signs early.
        let arrived_at = Instant::now();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((database_now, arrived_at));
    }
}

/// A clock under the control of a test; clones share the same time. It has a wall clock and a monotonic
/// one, in microseconds.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<(AtomicI64, AtomicI64)>);

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Arc::new((AtomicI64::new(start.as_micros()), AtomicI64::new(0))))
    }

    /// The moment the clock stands at.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.0.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.0.1.load(Ordering::SeqCst).unsigned_abs())
    }

    /// Moves the clock forward, as time does.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        // The monotonic part first: whoever reads between the two finds the wall clock behind.
        self.0.1.fetch_add(micros, Ordering::SeqCst);
        self.0.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the wall clock to another time, and leaves the monotonic one alone.
    pub fn set(&self, to: Timestamp) {
        self.0.0.store(to.as_micros(), Ordering::SeqCst);
    }
}

/// A moment on this host, to find out later how long the process, or its host, stood still.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    monotonic: Instant,
    system: Timestamp,
}

impl Moment {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), system: Clock::System.now() }
    }

    /// How long ago it was, by whichever clock says more: the monotonic one stands still with a
    /// virtual machine that is paused, and the system's may be set back.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.monotonic.elapsed().max(Clock::System.now().since(self.system))
    }
}
