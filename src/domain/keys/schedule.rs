//! When a key may sign and when it may go: the two inequalities that keep every verifier content.
//!
//! A key signs only after everybody who caches the key set has fetched one that holds it, and goes
//! only after the last token it signed has expired. "Everybody" includes an instance that has not
//! looked at the database for a while: it serves and signs with what it has until its lease ends,
//! and not longer.

use std::time::Duration;

use crate::config::{KeySettings, TokenSettings};
use crate::timestamp::Timestamp;

/// Missed reloads after which an instance stops signing.
const LEASE_RELOADS: u32 = 3;

/// The times in a key's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// From publication to the first signature.
    pub publication: Duration,
    /// From the last signature to removal.
    pub retention: Duration,
    /// From one key's first signature to the next one's publication; none if only by hand.
    pub rotation: Option<Duration>,
    /// Between two looks at the database.
    pub reload: Duration,
    /// How long an instance signs without having looked.
    pub lease: Duration,
}

/// Settings under which a good token would be refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A verifier's cache could outlive the time before the first signature.
    #[error(
        "SIGNET_KEY_PUBLICATION_SECONDS is {given}, but a service may hold a key set without the \
         new key for {least} seconds (SIGNET_JWKS_MAX_AGE_SECONDS + 3 x SIGNET_KEY_RELOAD_SECONDS \
         + 2 x SIGNET_CLOCK_SKEW_SECONDS)"
    )]
    SignsTooEarly {
        /// What was set, in seconds.
        given: u64,
        /// What is safe, in seconds.
        least: u64,
    },
    /// A token could outlive the key it was signed with.
    #[error(
        "SIGNET_KEY_RETENTION_SECONDS is {given}, but a token may need its key for {least} seconds \
         after the last signature (SIGNET_ACCESS_TOKEN_SECONDS + 3 x SIGNET_KEY_RELOAD_SECONDS + \
         SIGNET_CLOCK_SKEW_SECONDS)"
    )]
    GoesTooEarly {
        /// What was set, in seconds.
        given: u64,
        /// What is safe, in seconds.
        least: u64,
    },
    /// The next key would be published before this one signs.
    #[error(
        "SIGNET_KEY_ROTATION_SECONDS is {given}, less than the {least} seconds that a key is \
         published before it signs"
    )]
    RotatesTooOften {
        /// What was set, in seconds.
        given: u64,
        /// What is safe, in seconds.
        least: u64,
    },
}

impl Schedule {
    /// The schedule that the settings ask for.
    ///
    /// # Errors
    /// [`ScheduleError`] if it would ever refuse a good token.
    pub fn new(keys: &KeySettings, tokens: &TokenSettings) -> Result<Self, ScheduleError> {
        let reload = Duration::from_secs(keys.key_reload_seconds);
        let lease = reload * LEASE_RELOADS;
        let skew = keys.clock_skew_seconds;
        let soonest = keys.jwks_max_age_seconds + lease.as_secs() + 2 * skew;
        let publication = keys.key_publication_seconds.unwrap_or(soonest);
        if publication < soonest {
            return Err(ScheduleError::SignsTooEarly { given: publication, least: soonest });
        }
        let shortest = tokens.access_token_seconds + lease.as_secs() + skew;
        let retention = keys.key_retention_seconds.unwrap_or(shortest);
        if retention < shortest {
            return Err(ScheduleError::GoesTooEarly { given: retention, least: shortest });
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

    /// Whether a key that began to sign at `activated_at` is due to be followed by another.
    #[must_use]
    pub fn is_due(&self, activated_at: Timestamp, now: Timestamp) -> bool {
        self.rotation.is_some_and(|rotation| activated_at.plus(rotation) <= now)
    }
}
