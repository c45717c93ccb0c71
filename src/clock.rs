//! The only code that reads the system's wall clock. Other code gets the current time from a
//! [`Clock`], or as the argument `now`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::timestamp::Timestamp;

/// The time of the first call of [`Clock::uptime`], by the monotonic clock.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The source of `now`.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// The clock of the shared database, so that all instances agree even if this host's clock is
    /// wrong or jumps. Until it is set, it shows the system's time. Setting one clone sets all.
    Shared(Arc<RwLock<Option<Anchor>>>),
    /// A clock for tests, which advances only when a test changes it.
    Manual(ManualClock),
}

impl Clock {
    /// A shared clock. It shows the system's time until [`follow`](Self::follow) sets it.
    #[must_use]
    pub fn shared() -> Self {
        Self::Shared(Arc::default())
    }

    /// The current time, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the only place that reads the time")]
            Self::System => OffsetDateTime::now_utc().into(),
            Self::Shared(anchor) => match *anchor.read().unwrap_or_else(PoisonError::into_inner) {
                Some(Anchor { at, since }) => at.plus(since.elapsed()),
                None => Self::System.now(),
            },
            Self::Manual(clock) => clock.now(),
        }
    }

    /// The time since the first call in this process, by the monotonic clock, which changes of the
    /// system time do not affect. Callers use the difference of two results.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        match self {
            Self::System | Self::Shared(_) => STARTED.elapsed(),
            Self::Manual(clock) => clock.uptime(),
        }
    }

    /// Sets a shared clock to the database's time, which was read just before this call. Does
    /// nothing to clocks of other kinds.
    pub fn follow(&self, database_now: Timestamp) {
        if let Self::Shared(anchor) = self {
            // The time is anchored when the response arrives. So the clock lags the database's
            // clock a little and is never ahead: no token is issued in the future, and no key signs
            // early.
            let now = Anchor { at: database_now, since: Instant::now() };
            *anchor.write().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
    }
}

/// The last setting of a shared clock. Since then, the clock advances by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    /// The database's time to which the clock was set.
    at: Timestamp,
    /// When it was set, by the monotonic clock.
    since: Instant,
}

/// A clock for tests: a wall clock and a monotonic clock, in microseconds. Advancing or setting one
/// clone changes all.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<(AtomicI64, AtomicI64)>);

impl ManualClock {
    /// A clock that starts at `start` and does not advance by itself.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Arc::new((AtomicI64::new(start.as_micros()), AtomicI64::new(0))))
    }

    /// The time of the wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.0.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.0.1.load(Ordering::SeqCst).unsigned_abs())
    }

    /// Advances the wall clock and the monotonic clock.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        // The monotonic clock is advanced first. So a concurrent reader may see the wall clock
        // behind it, never ahead.
        self.0.1.fetch_add(micros, Ordering::SeqCst);
        self.0.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the wall clock and leaves the monotonic clock unchanged.
    pub fn set(&self, to: Timestamp) {
        self.0.0.store(to.as_micros(), Ordering::SeqCst);
    }
}

/// A point in time on this host. The time that elapses from it includes the time for which the
/// process or the host is suspended.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    monotonic: Instant,
    system: Timestamp,
}

impl Moment {
    /// The current time.
    #[must_use]
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), system: Clock::System.now() }
    }

    /// The elapsed time, by whichever of the two clocks advanced more: the monotonic clock stops
    /// while a virtual machine is paused, and the system clock may be set back.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.monotonic.elapsed().max(Clock::System.now().since(self.system))
    }
}
