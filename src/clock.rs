//! The only reader of time. Everything else takes `now` as an argument.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::timestamp::Timestamp;

/// The start of this process, as the origin of its uptime.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The source of `now`.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// The clock of the shared database: all instances agree, even if this host's clock is wrong or
    /// jumps. The system's clock until it is set; clones share the time.
    Shared(Arc<RwLock<Option<Anchor>>>),
    /// A clock that moves only when it is set; for tests.
    Manual(ManualClock),
}

impl Clock {
    /// A clock that follows the database's once it is connected, and the system's until then.
    #[must_use]
    pub fn shared() -> Self {
        Self::Shared(Arc::default())
    }

    /// The current time, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one reader of time")]
            Self::System => OffsetDateTime::now_utc().into(),
            Self::Shared(anchor) => match *anchor.read().unwrap_or_else(PoisonError::into_inner) {
                Some(Anchor { at, since }) => at.plus(since.elapsed()),
                None => Self::System.now(),
            },
            Self::Manual(clock) => clock.now(),
        }
    }

    /// How long this process has run, by the monotonic clock: changes of the system time do not
    /// affect it.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        match self {
            Self::System | Self::Shared(_) => STARTED.elapsed(),
            Self::Manual(clock) => clock.uptime(),
        }
    }

    /// Sets a shared clock to the database's time, just read; other clocks are unchanged.
    pub fn follow(&self, database_now: Timestamp) {
        if let Self::Shared(anchor) = self {
            // Anchored at the arrival of the response, it lags the database's clock a little and is
            // never ahead: no token is issued in the future, and no key signs early.
            let now = Anchor { at: database_now, since: Instant::now() };
            *anchor.write().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
    }
}

/// The time that a shared clock was set to. It advances from there by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    at: Timestamp,
    since: Instant,
}

/// A clock under the control of a test; clones share the time. It has a wall clock and a monotonic
/// one, in microseconds.
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
        // The monotonic clock first: a concurrent reader sees the wall clock lag, never lead.
        self.0.1.fetch_add(micros, Ordering::SeqCst);
        self.0.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the wall clock and leaves the monotonic one unchanged.
    pub fn set(&self, to: Timestamp) {
        self.0.0.store(to.as_micros(), Ordering::SeqCst);
    }
}

/// A point in time on this host, to measure later how long the process or the host was suspended.
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

    /// The elapsed time, by the clock that shows more of it: the monotonic clock stops while a
    /// virtual machine is paused, and the system clock may be set back.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.monotonic.elapsed().max(Clock::System.now().since(self.system))
    }
}
