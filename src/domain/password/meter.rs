//! Estimates how long hashes take on this pool from recent measurements.
//!
//! Each class has a nominal time. The measured value is the ratio of real to nominal time. It
//! depends on other programs on the machine, the speed of the cores and the priority of the
//! threads.

use std::time::Duration;

use crate::domain::password::class::Class;

/// The estimate rises slowly: a measurement above it is averaged over as many measurements as take
/// this long together, by their nominal times. It is a quarter of the default backlog. Hashes are
/// slow while a burst of requests arrives, because the same cores parse the requests. These first
/// hashes must not determine the estimate for all hashes of the burst.
const SLOWDOWN_TIME: Duration = Duration::from_secs(5);

/// A measurement below the estimate is averaged over this number of measurements. The number is
/// small because a hash is never faster than the machine allows, and an earlier slowdown may have
/// ended.
const SPEEDUP_SAMPLES: f64 = 4.0;

/// A measurement counts as at most eight times the estimate, and as at least an eighth of it. For
/// example, a process that was suspended for a minute has not become a thousand times slower.
const MAX_RATIO: f64 = 8.0;

/// One value for each kind of hash that is measured separately: Argon2 at the current settings,
/// Argon2 at other settings, bcrypt, PBKDF2 and scrypt.
type Each<T> = [T; 5];

/// Hashing work, as nominal time of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Work(Each<Duration>);

impl Work {
    pub(super) fn add(&mut self, other: Self) {
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            *sum += part;
        }
    }

    pub(super) fn remove(&mut self, other: Self) {
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_sub(part);
        }
    }
}

/// Measured rates per kind of hash.
pub(super) struct Meter {
    current: Class,
    rates: Each<Rate>,
}

/// Ratio of measured to nominal time.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    factor: f64,
    samples: u32,
}

impl Rate {
    fn record(&mut self, nominal: Duration, took: Duration) {
        let factor = took.div_duration_f64(nominal);
        if self.samples == 0 {
            self.factor = factor;
        } else {
            let clamped = factor.clamp(self.factor / MAX_RATIO, self.factor * MAX_RATIO);
            let samples = if clamped < self.factor {
                SPEEDUP_SAMPLES
            } else {
                SLOWDOWN_TIME.div_duration_f64(nominal).max(1.0)
            };
            self.factor += (clamped - self.factor) / samples.min(f64::from(self.samples) + 1.0);
        }
        self.samples = self.samples.saturating_add(1);
    }
}

impl Meter {
    /// A meter without measurements. `current` is the class of new hashes.
    pub(super) fn new(current: Class) -> Self {
        Self { current, rates: Each::default() }
    }

    /// The work of hashes of these classes, computed one after the other.
    pub(super) fn work(&self, classes: &[Class]) -> Work {
        let mut work = Each::default();
        for class in classes {
            *self.of(*class, &mut work) += class.nominal();
        }
        Work(work)
    }

    /// Records how long one hash took.
    pub(super) fn record(&mut self, class: Class, took: Duration) {
        let mut rates = self.rates;
        self.of(class, &mut rates).record(class.nominal(), took);
        self.rates = rates;
    }

    /// The estimated time on one thread.
    pub(super) fn time(&self, work: Work) -> Duration {
        // A kind of hash that was never measured gets the ratio of a kind that was.
        let known = self.rates.into_iter().find(|rate| rate.samples > 0);
        let of = |rate: Rate| match (rate.samples, known) {
            (0, None) => 1.0,
            (0, Some(known)) => known.factor,
            _ => rate.factor,
        };
        work.0.into_iter().zip(self.rates).map(|(time, rate)| time.mul_f64(of(rate))).sum()
    }

    fn of<'a, T>(&self, class: Class, each: &'a mut Each<T>) -> &'a mut T {
        let [current, foreign, bcrypt, pbkdf2, scrypt] = each;
        match class {
            class if class == self.current => current,
            Class::Argon2 { .. } => foreign,
            Class::Bcrypt { .. } => bcrypt,
            Class::Pbkdf2 { .. } => pbkdf2,
            Class::Scrypt { .. } => scrypt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::password::cost::Cost;

    const BCRYPT: Class = Class::Bcrypt { cost: 10 };

    fn current() -> Class {
        Class::of_new(Cost::default())
    }

    fn time(meter: &Meter, classes: &[Class]) -> u128 {
        meter.time(meter.work(classes)).as_millis()
    }

    #[test]
    fn first_measurement_replaces_the_initial_estimate() {
        let mut meter = Meter::new(current());
        assert_eq!(time(&meter, &[current()]), 23);

        meter.record(current(), Duration::from_millis(46));

        assert_eq!(time(&meter, &[current()]), 46);
        assert_eq!(time(&meter, &[current(); 10]), 460);
        // The machine is half as fast as the initial estimate. This applies to unmeasured kinds as
        // well.
        assert_eq!(time(&meter, &[BCRYPT]), 161);
    }

    #[test]
    fn each_kind_of_hash_is_measured_separately() {
        let mut meter = Meter::new(current());
        let double = Class::Argon2 {
            algorithm: argon2::Algorithm::Argon2id,
            version: argon2::Version::V0x13,
            cost: Cost { iterations: 4, ..Cost::default() },
        };
        meter.record(current(), Duration::from_millis(20));
        meter.record(double, Duration::from_millis(100));
        meter.record(BCRYPT, Duration::from_millis(50));

        assert_eq!(time(&meter, &[current()]), 20);
        assert_eq!(time(&meter, &[double]), 100);
        assert_eq!(time(&meter, &[BCRYPT]), 50);
        assert_eq!(time(&meter, &[Class::Bcrypt { cost: 12 }]), 200);
        assert_eq!(time(&meter, &[current(), double, BCRYPT]), 170);
    }

    #[test]
    fn estimate_follows_the_average_and_limits_the_effect_of_outliers() {
        let mut meter = Meter::new(current());
        for _ in 0..100 {
            meter.record(current(), Duration::from_millis(20));
        }

        meter.record(current(), Duration::from_mins(1));
        assert!(time(&meter, &[current()]) < 40, "{}", time(&meter, &[current()]));
        for _ in 0..1_000 {
            meter.record(current(), Duration::from_millis(40));
        }

        assert!((39..42).contains(&time(&meter, &[current()])), "{}", time(&meter, &[current()]));
    }

    /// A5: other programs slow down eight hashes and then stop. Later requests must not be refused
    /// because of these hashes.
    #[test]
    fn brief_slowdown_does_not_reject_later_requests() {
        let mut meter = Meter::new(current());
        for _ in 0..50 {
            meter.record(current(), Duration::from_millis(20));
        }

        for _ in 0..8 {
            meter.record(current(), Duration::from_secs(1));
        }
        assert!(time(&meter, &[current(); 300]) < 2 * 20_000, "two threads, 20 s");
        for _ in 0..16 {
            meter.record(current(), Duration::from_millis(20));
        }

        assert!(time(&meter, &[current()]) < 23, "{}", time(&meter, &[current()]));
    }

    /// A5: a thousand logins arrive within a second, during which eight hashes take eight times as
    /// long. The logins fit into the backlog of 20 s and its reserve, because all hashes together
    /// take 17 s.
    #[test]
    fn contention_at_the_start_of_a_burst_does_not_lower_the_rate() {
        let mut meter = Meter::new(current());
        for _ in 0..200 {
            meter.record(current(), Duration::from_millis(34));
        }

        for _ in 0..8 {
            meter.record(current(), Duration::from_millis(8 * 34));
        }

        let total = 1_000 * time(&meter, &[current()]) / 2;
        assert!(total < 25_000, "{total} ms on two threads");
    }

    #[test]
    fn finished_jobs_add_no_time() {
        let meter = Meter::new(current());
        let (argon2, bcrypt) = (meter.work(&[current()]), meter.work(&[BCRYPT]));
        let mut sum = argon2;

        sum.add(bcrypt);
        sum.remove(argon2);

        assert_eq!(sum, bcrypt);
    }
}
