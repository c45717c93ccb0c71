//! When a key may sign, and when it may be removed. Two inequalities ensure that every valid token
//! can be verified.
//!
//! A key signs only after every cache has fetched a key set that contains the key. It is removed
//! only after the last token that it signed has expired. Both inequalities allow for an instance
//! that has not reloaded the keys for a while: until the lease of this instance ends, it signs with
//! old keys, and serves an old key set to caches.

use std::time::Duration;

use crate::config::{KeySettings, TokenSettings};
use crate::timestamp::Timestamp;

/// Number of missed reloads after which an instance stops signing.
const LEASE_RELOADS: u32 = 3;

/// The longest time in seconds for which libraries do not fetch the key set again, regardless of
/// its `max-age`. Such libraries are `PyJWT`, jose and express-oauth2-jwt-bearer.
const LONGEST_COOL_DOWN: u64 = 30;

/// How long a new key is published before it signs by default, in seconds. It is this long because
/// the library jwx fetches the key set at most every 15 minutes.
const DEFAULT_PUBLICATION: u64 = 20 * 60;

/// The durations in a key's lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// From publication to the first signature.
    pub publication: Duration,
    /// From the last signature to removal.
    pub retention: Duration,
    /// From the first signature of a key to the publication of the next key. `None` if keys are
    /// rotated manually.
    pub rotation: Option<Duration>,
    /// Interval between two reloads from the database.
    pub reload: Duration,
    /// How long an instance signs without a reload.
    pub lease: Duration,
}

/// Settings under which a valid token could be refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A key could sign while verifiers cache a key set without it.
    #[error(
        "SIGNET_KEY_PUBLICATION_SECONDS is {given}, but a resource server may cache a key set \
         without the new key for {least} seconds (SIGNET_JWKS_MAX_AGE_SECONDS + 3 x \
         SIGNET_KEY_RELOAD_SECONDS + 2 x SIGNET_CLOCK_SKEW_SECONDS; at least 30 + \
         SIGNET_CLOCK_SKEW_SECONDS)"
    )]
    SignsTooEarly {
        /// The setting, in seconds.
        given: u64,
        /// The minimum, in seconds.
        least: u64,
    },
    /// A key could be removed before the last token that it signed has expired.
    #[error(
        "SIGNET_KEY_RETENTION_SECONDS is {given}, but a token may need its key for {least} seconds \
         after the last signature (SIGNET_ACCESS_TOKEN_SECONDS + 3 x SIGNET_KEY_RELOAD_SECONDS + \
         SIGNET_CLOCK_SKEW_SECONDS)"
    )]
    RemovedTooEarly {
        /// The setting, in seconds.
        given: u64,
        /// The minimum, in seconds.
        least: u64,
    },
    /// The next key could be published before the current key signs.
    #[error(
        "SIGNET_KEY_ROTATION_SECONDS is {given}, less than the {least} seconds that a key is \
         published before it signs"
    )]
    RotatesTooOften {
        /// The setting, in seconds.
        given: u64,
        /// The minimum, in seconds.
        least: u64,
    },
}

impl Schedule {
    /// The schedule for these settings.
    ///
    /// # Errors
    /// [`ScheduleError`] if a valid token could be refused.
    pub fn new(keys: &KeySettings, tokens: &TokenSettings) -> Result<Self, ScheduleError> {
        let reload = Duration::from_secs(keys.key_reload_seconds);
        let lease = reload * LEASE_RELOADS;
        let skew = keys.clock_skew_seconds;
        let minimum = keys.jwks_max_age_seconds + lease.as_secs() + 2 * skew;
        let (minimum, default) = if keys.dangerously_short_key_publication {
            (minimum, minimum)
        } else {
            let minimum = minimum.max(LONGEST_COOL_DOWN + skew);
            (minimum, minimum.max(DEFAULT_PUBLICATION))
        };
        let publication = keys.key_publication_seconds.unwrap_or(default);
        if publication < minimum {
            return Err(ScheduleError::SignsTooEarly { given: publication, least: minimum });
        }
        let minimum = tokens.access_token_seconds + lease.as_secs() + skew;
        let retention = keys.key_retention_seconds.unwrap_or(minimum);
        if retention < minimum {
            return Err(ScheduleError::RemovedTooEarly { given: retention, least: minimum });
        }
        let rotation = keys.key_rotation_seconds;
        if rotation != 0 && rotation < publication {
            return Err(ScheduleError::RotatesTooOften { given: rotation, least: publication });
        }
        Ok(Self {
            publication: Duration::from_secs(publication),
            retention: Duration::from_secs(retention),
            rotation: (rotation != 0).then(|| Duration::from_secs(rotation)),
            reload,
            lease,
        })
    }

    /// Whether a key that became active at `activated_at` is due for rotation.
    #[must_use]
    pub fn is_due(&self, activated_at: Timestamp, now: Timestamp) -> bool {
        self.rotation.is_some_and(|rotation| activated_at.plus(rotation) <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RefreshReuse;

    /// The default settings of keys and tokens, which `docs/configuration.md` lists.
    fn settings() -> (KeySettings, TokenSettings) {
        let keys = KeySettings {
            master_key_file: "keys/master.key".into(),
            rsa_bits: 2048,
            jwks_max_age_seconds: 300,
            key_rotation_seconds: 2_592_000,
            key_reload_seconds: 5,
            clock_skew_seconds: 30,
            key_publication_seconds: None,
            dangerously_short_key_publication: false,
            key_retention_seconds: None,
        };
        let tokens = TokenSettings {
            access_token_seconds: 86_400,
            refresh_token_seconds: 1_209_600,
            session_seconds: 2_592_000,
            browser_idle_seconds: 28_800,
            refresh_retry_seconds: 10,
            refresh_reuse: RefreshReuse::EndSession,
            ended_session_days: 30,
        };
        (keys, tokens)
    }

    fn schedule(change: impl FnOnce(&mut KeySettings)) -> Result<Schedule, ScheduleError> {
        let (mut keys, tokens) = settings();
        change(&mut keys);
        Schedule::new(&keys, &tokens)
    }

    #[test]
    fn default_publication_is_twenty_minutes_and_retention_is_minimal() {
        let schedule = schedule(|_| {}).unwrap();

        let expected = Schedule {
            publication: Duration::from_mins(20),
            retention: Duration::from_secs(86_400 + 3 * 5 + 30),
            rotation: Some(Duration::from_hours(720)),
            reload: Duration::from_secs(5),
            lease: Duration::from_secs(15),
        };
        assert_eq!(schedule, expected);
    }

    fn published_for(
        publication: u64,
        max_age: u64,
        reload: u64,
        skew: u64,
    ) -> Result<Schedule, ScheduleError> {
        schedule(|keys| {
            keys.jwks_max_age_seconds = max_age;
            keys.key_reload_seconds = reload;
            keys.clock_skew_seconds = skew;
            keys.key_publication_seconds = Some(publication);
        })
    }

    /// KY-03: each of the three terms counts, to the second.
    #[test]
    fn publication_shorter_than_cache_lease_and_two_skews_is_rejected() {
        for (max_age, reload, skew, least) in [
            (300, 5, 30, 375),
            (301, 5, 30, 376),
            (300, 6, 30, 378),
            (300, 5, 31, 377),
            (28, 1, 0, 31),
        ] {
            let with = |publication| published_for(publication, max_age, reload, skew);

            let error = with(least - 1).unwrap_err();
            assert_eq!(error, ScheduleError::SignsTooEarly { given: least - 1, least });
            assert!(error.to_string().contains("SIGNET_KEY_PUBLICATION_SECONDS is"), "{error}");
            assert_eq!(with(0).unwrap_err(), ScheduleError::SignsTooEarly { given: 0, least });
            assert_eq!(with(least).unwrap().publication, Duration::from_secs(least));
            assert_eq!(with(least + 9).unwrap().publication, Duration::from_secs(least + 9));
        }
    }

    /// C6: libraries cache the key set for half a minute, regardless of its `max-age`.
    #[test]
    fn publication_covers_the_cool_down_of_libraries_and_the_skew() {
        for (max_age, reload, skew, least) in [(1, 1, 0, 30), (26, 1, 0, 30), (1, 1, 10, 40)] {
            let with = |publication| published_for(publication, max_age, reload, skew);

            let error = with(least - 1).unwrap_err();
            assert_eq!(error, ScheduleError::SignsTooEarly { given: least - 1, least });
            assert_eq!(with(least).unwrap().publication, Duration::from_secs(least));
        }
    }

    #[test]
    fn dangerously_short_publication_ignores_the_cool_down_of_libraries() {
        let with = |publication| {
            schedule(|keys| {
                keys.jwks_max_age_seconds = 1;
                keys.key_reload_seconds = 1;
                keys.clock_skew_seconds = 0;
                keys.key_publication_seconds = publication;
                keys.dangerously_short_key_publication = true;
            })
        };

        assert_eq!(with(None).unwrap().publication, Duration::from_secs(4));
        let error = with(Some(3)).unwrap_err();
        assert_eq!(error, ScheduleError::SignsTooEarly { given: 3, least: 4 });
    }

    /// C13: a long `max-age` extends the default publication.
    #[test]
    fn default_publication_grows_with_the_cache_time() {
        let schedule = schedule(|keys| keys.jwks_max_age_seconds = 3600).unwrap();

        assert_eq!(schedule.publication, Duration::from_secs(3600 + 3 * 5 + 2 * 30));
    }

    /// KY-04: each of the three terms counts, to the second.
    #[test]
    fn retention_shorter_than_token_lease_and_skew_is_rejected() {
        for (token_seconds, reload, skew, least) in [
            (86_400, 5, 30, 86_445),
            (86_401, 5, 30, 86_446),
            (86_400, 6, 30, 86_448),
            (86_400, 5, 31, 86_446),
            (1, 1, 0, 4),
        ] {
            let with = |retention| {
                let (mut keys, mut tokens) = settings();
                tokens.access_token_seconds = token_seconds;
                keys.key_reload_seconds = reload;
                keys.clock_skew_seconds = skew;
                keys.key_retention_seconds = Some(retention);
                Schedule::new(&keys, &tokens)
            };

            let error = with(least - 1).unwrap_err();
            assert_eq!(error, ScheduleError::RemovedTooEarly { given: least - 1, least });
            assert!(error.to_string().contains("SIGNET_KEY_RETENTION_SECONDS is"), "{error}");
            assert_eq!(with(least).unwrap().retention, Duration::from_secs(least));
            assert_eq!(with(least + 9).unwrap().retention, Duration::from_secs(least + 9));
        }
    }

    #[test]
    fn rotation_interval_shorter_than_the_publication_is_rejected() {
        let with = |rotation| schedule(|keys| keys.key_rotation_seconds = rotation);

        let error = with(1199).unwrap_err();
        assert_eq!(error, ScheduleError::RotatesTooOften { given: 1199, least: 1200 });
        assert!(error.to_string().contains("SIGNET_KEY_ROTATION_SECONDS is"), "{error}");
        assert_eq!(with(1).unwrap_err(), ScheduleError::RotatesTooOften { given: 1, least: 1200 });
        assert_eq!(with(1200).unwrap().rotation, Some(Duration::from_mins(20)));
        assert_eq!(with(0).unwrap().rotation, None, "manual rotation only");
    }

    #[test]
    fn next_key_is_due_when_the_current_key_has_signed_for_the_rotation_interval() {
        let begin = Timestamp::from_micros(1_768_384_800_000_000);
        let automatic = schedule(|keys| keys.key_rotation_seconds = 2000).unwrap();
        let manual = schedule(|keys| keys.key_rotation_seconds = 0).unwrap();

        assert!(!automatic.is_due(begin, begin.plus(Duration::from_micros(1_999_999_999))));
        assert!(automatic.is_due(begin, begin.plus(Duration::from_secs(2000))));
        assert!(!manual.is_due(begin, begin.plus(Duration::from_hours(10_000))));
    }
}
