//! Who may try how often: exact limits from the database, and a rough one in front of it.
//!
//! The one in front is this instance's own. It lets four times as much through as the exact limit,
//! so it never decides over a client that keeps to the rules; it sheds floods before they reach the
//! database. Its memory is bounded: past so many clients, all share one bucket for a while.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota as Rate};

use crate::config::LimitSettings;
use crate::database::Db;
use crate::domain::attempt::{self, AttemptError, Credential, Quota, Refusal, WINDOW};
use crate::domain::audit::Origin;
use crate::domain::email::Email;
use crate::domain::keys::LimitKey;

/// How much more than the exact limit the one in front lets through.
const FRONT_FACTOR: u32 = 4;

/// Clients that a limit in front tells apart: some 10 MiB.
const CLIENTS: usize = 200_000;

/// How much more than one client all may do together once they are not told apart.
const CROWD_FACTOR: u32 = 1_000;

/// The limits of all endpoints.
pub struct Limits {
    settings: LimitSettings,
    key: LimitKey,
    sign_ups: Front,
    log_ins: Front,
    resets: Front,
    confirmations: Front,
    refreshes: Front,
    changes: Front,
    requests: Front,
    failed_proofs: Front,
}

impl Limits {
    /// Limits as `settings` say, with `key` to hide addresses from the table.
    #[must_use]
    pub fn new(settings: LimitSettings, key: LimitKey) -> Self {
        Self {
            sign_ups: Front::before_exact(settings.attempts_per_minute),
            log_ins: Front::before_exact(settings.attempts_per_minute),
            resets: Front::before_exact(settings.attempts_per_minute),
            confirmations: Front::before_exact(settings.attempts_per_minute),
            refreshes: Front::per_minute(settings.refreshes_per_minute),
            changes: Front::per_minute(settings.refreshes_per_minute),
            requests: Front::per_minute(settings.requests_per_minute),
            failed_proofs: Front::before_exact(settings.attempts_per_minute),
            settings,
            key,
        }
    }

    /// The attempt windows' key.
    pub(super) fn key(&self) -> &LimitKey {
        &self.key
    }

    /// Admits and counts a sign-up.
    pub(super) async fn admit_sign_up(&self, db: &Db, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.sign_ups, origin)?;
        let quotas = self.of_address(Credential::SignUp, origin);
        attempt::admit(db, quotas, origin).await
    }

    /// Admits and counts a login to the account of `email`, whether or not anybody has it.
    pub(super) async fn admit_log_in(
        &self,
        db: &Db,
        email: &Email,
        origin: &Origin,
    ) -> Result<(), AttemptError> {
        self.check(&self.log_ins, origin)?;
        let quotas = self.of_address_and_account(Credential::LogIn, email, origin);
        attempt::admit(db, quotas, origin).await
    }

    /// Admits a password typed once more, as far as can be told before the account is known.
    pub(super) fn admit_confirmation_early(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.confirmations, origin)
    }

    /// Admits and counts a password typed once more: like a login to the account of `email`.
    pub(super) async fn admit_confirmation(
        &self,
        db: &Db,
        email: &Email,
        origin: &Origin,
    ) -> Result<(), AttemptError> {
        let quotas = self.of_address_and_account(Credential::Confirm, email, origin);
        attempt::admit(db, quotas, origin).await
    }

    /// Admits and counts the use of a reset token.
    pub(super) async fn admit_reset(&self, db: &Db, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.resets, origin)?;
        attempt::admit(db, self.of_address(Credential::Reset, origin), origin).await
    }

    /// Admits a refresh: a limit of this instance alone, and a generous one.
    pub(super) fn admit_refresh(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.refreshes, origin)
    }

    /// Admits a change that somebody who is logged in makes to what is theirs: like a refresh.
    pub(super) fn admit_change(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.changes, origin)
    }

    /// Counts a client that failed to prove who it is; refuses when that goes on. Clients that
    /// succeed are not counted, so nobody can keep a neighbour out.
    pub(super) fn admit_failed_proof(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.failed_proofs, origin)
    }

    /// Admits a request with an access token, before anything is done about it.
    pub(super) fn admit_request(&self, origin: &Origin) -> Result<(), Refusal> {
        self.requests.check(client(origin.address, self.settings.ipv6_prefix))
    }

    /// Forgets clients that have been quiet; to be called every minute or so.
    pub fn sweep(&self) {
        let Self { sign_ups, log_ins, resets, confirmations, refreshes, .. } = self;
        let Self { changes, requests, failed_proofs, .. } = self;
        let of_passwords = [sign_ups, log_ins, resets, confirmations];
        for front in of_passwords.into_iter().chain([refreshes, changes, requests, failed_proofs]) {
            front.clients.retain_recent();
            front.clients.shrink_to_fit();
        }
    }

    fn of_address(&self, endpoint: Credential, origin: &Origin) -> Vec<Quota> {
        let LimitSettings { ipv6_prefix, attempts_per_minute, .. } = self.settings;
        Quota::of_address(&self.key, endpoint, origin.address, ipv6_prefix, attempts_per_minute)
    }

    fn of_address_and_account(
        &self,
        endpoint: Credential,
        email: &Email,
        origin: &Origin,
    ) -> Vec<Quota> {
        let mut quotas = self.of_address(endpoint, origin);
        let attempts = self.settings.account_attempts_per_minute;
        quotas.push(Quota::of_account(&self.key, email, attempts));
        quotas
    }

    fn check(&self, front: &Front, origin: &Origin) -> Result<(), AttemptError> {
        front
            .check(client(origin.address, self.settings.ipv6_prefix))
            .map_err(AttemptError::Refused)
    }
}

/// A limit of this instance alone: GCRA, one bucket per client.
struct Front {
    clients: DefaultKeyedRateLimiter<u128>,
    crowd: DefaultDirectRateLimiter,
    /// The quota that refusals speak of.
    quota: u32,
    /// The shortest wait that refusals ask for.
    least_wait: Duration,
}

impl Front {
    fn per_minute(quota: u32) -> Self {
        let rate = |quota| Rate::per_minute(NonZeroU32::new(quota).unwrap_or(NonZeroU32::MIN));
        Self {
            clients: DefaultKeyedRateLimiter::keyed(rate(quota)),
            crowd: DefaultDirectRateLimiter::direct(rate(quota.saturating_mul(CROWD_FACTOR))),
            quota,
            least_wait: Duration::ZERO,
        }
    }

    /// In front of an exact limit of `quota`, in whose name it refuses: who came this often waits
    /// for that one too, and is admitted by both after a whole window.
    fn before_exact(quota: u32) -> Self {
        let front = Self::per_minute(quota.saturating_mul(FRONT_FACTOR));
        Self { quota, least_wait: WINDOW, ..front }
    }

    fn check(&self, client: u128) -> Result<(), Refusal> {
        let checked = if self.clients.len() < CLIENTS {
            self.clients.check_key(&client)
        } else {
            self.crowd.check()
        };
        checked.map_err(|not_until| Refusal {
            quota_name: "address",
            quota: self.quota,
            retry_after: not_until
                .wait_time_from(DefaultClock::default().now())
                .max(self.least_wait),
        })
    }
}

/// One client: an IPv4 address, or an IPv6 block of `prefix` bits; 0 for those without an address.
#[must_use]
pub fn client(address: Option<IpAddr>, prefix: u8) -> u128 {
    match address.map(|address| address.to_canonical()) {
        None => 0,
        Some(IpAddr::V4(v4)) => v4.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(v6)) => {
            v6.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RL-05: an IPv4-mapped address is its IPv4 address, and a /64 is one client.
    #[test]
    fn spellings_of_a_client_share_a_bucket() {
        let of = |text: &str| client(Some(text.parse().unwrap()), 64);

        assert_eq!(of("203.0.113.9"), of("::ffff:203.0.113.9"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("203.0.113.9"), of("203.0.113.10"));
    }

    /// RL-10: past the cap, clients share a bucket and the table does not grow.
    #[test]
    fn memory_is_bounded() {
        let front = Front::per_minute(1);

        for client in 0..u128::try_from(CLIENTS).unwrap() + 1_500 {
            let _ = front.check(client);
        }

        assert_eq!(front.clients.len(), CLIENTS);
        assert!(front.check(u128::MAX).is_err());
    }
}
