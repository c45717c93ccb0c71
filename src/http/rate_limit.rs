//! Rate limits: exact ones in the database, and coarse ones in memory in front of them.
//!
//! The coarse limits are per instance. They admit four times as much as the exact limit, and 24
//! times as many logins, so they never reject a client that respects the exact one; they shed
//! floods before these reach the database. As with the exact limit, an IPv6 client has a bucket of
//! its own and shares that of its /48. Memory is bounded: above a number of clients, all of them
//! share one bucket until some are evicted.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, QuantaInstant};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota as Rate};

use crate::config::LimitSettings;
use crate::database::Db;
use crate::domain::attempt_limit::{
    self, Admitted, AttemptError, AttemptKey, BACKSTOP_FACTOR, BACKSTOP_PREFIX, LimitedAction,
    Quota, Refusal, WINDOW,
};
use crate::domain::audit::{Kind, Origin};
use crate::domain::email::Email;
use crate::domain::keys::LimitKey;
pub use crate::domain::network::client;

/// Factor by which a coarse limit exceeds the exact one.
const FRONT_FACTOR: u32 = 4;

/// The same factor where successful attempts are refunded: many users share an address.
const FRONT_FACTOR_OF_LOGINS: u32 = 24;

/// Maximum number of clients, and of /48s, with a separate bucket in a coarse limit: some 10 MiB
/// each.
const CLIENTS: usize = 200_000;

/// Factor by which the shared bucket exceeds that of one client.
const CROWD_FACTOR: u32 = 1_000;

/// Failures that are recorded per minute, of one client and of all: the audit log must stay
/// readable.
const RECORDS_OF_CLIENT: u32 = 20;
const RECORDS_OF_ALL: u32 = 600;

/// The rate limits of all endpoints.
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
    refresh_records: Records,
    client_records: Records,
    /// One bucket per registered client, which bounds their number, and kind of request.
    client_requests: DefaultKeyedRateLimiter<(ClientEndpoint, String)>,
}

/// The kind of request of an authenticated client; each has its own rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientEndpoint {
    /// A token or revocation request.
    Token,
    /// Introspection, which resource servers may do on every request.
    Introspection,
}

impl Limits {
    /// The limits from `settings`; `key` hides addresses in the table.
    #[must_use]
    pub fn new(settings: LimitSettings, key: LimitKey) -> Self {
        Self {
            sign_ups: Front::before_exact(settings.sign_ups(), FRONT_FACTOR),
            log_ins: Front::before_exact(settings.attempts_per_minute, FRONT_FACTOR_OF_LOGINS),
            resets: Front::before_exact(settings.attempts_per_minute, FRONT_FACTOR),
            confirmations: Front::before_exact(
                settings.attempts_per_minute,
                FRONT_FACTOR_OF_LOGINS,
            ),
            refreshes: Front::per_minute(settings.refreshes_per_minute),
            changes: Front::per_minute(settings.refreshes_per_minute),
            requests: Front::per_minute(settings.requests_per_minute),
            failed_proofs: Front::before_exact(settings.attempts_per_minute, FRONT_FACTOR),
            refresh_records: Records::new(),
            client_records: Records::new(),
            client_requests: DefaultKeyedRateLimiter::keyed(per_minute(
                settings.client_requests_per_minute,
            )),
            settings,
            key,
        }
    }

    /// The key that hides addresses in the attempt table.
    pub(super) fn key(&self) -> &LimitKey {
        &self.key
    }

    /// Admits and counts a sign-up.
    pub(super) async fn admit_sign_up(
        &self,
        db: &Db,
        email: &Email,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        self.check(&self.sign_ups, origin)?;
        let quotas = self.of_address(LimitedAction::SignUp, origin);
        let admitted = attempt_limit::admit(db, quotas, origin).await?;
        Ok(admitted.at_account(AttemptKey::of_account(&self.key, email)))
    }

    /// Admits and counts a login to the account of `email`, whether or not it exists.
    pub(super) async fn admit_log_in(
        &self,
        db: &Db,
        email: &Email,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        self.check(&self.log_ins, origin)?;
        let quotas = self.of_address_and_account(LimitedAction::LogIn, email, origin);
        attempt_limit::admit(db, quotas, origin).await
    }

    /// Applies the coarse limit to a reauthentication, before the account is known.
    pub(super) fn admit_reauthentication_early(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.confirmations, origin)
    }

    /// Admits and counts a reauthentication: like a login to the account of `email`.
    pub(super) async fn admit_reauthentication(
        &self,
        db: &Db,
        email: &Email,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        let quotas = self.of_address_and_account(LimitedAction::Confirm, email, origin);
        attempt_limit::admit(db, quotas, origin).await
    }

    /// Admits and counts the use of a reset token.
    pub(super) async fn admit_reset(
        &self,
        db: &Db,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        self.check(&self.resets, origin)?;
        attempt_limit::admit(db, self.of_address(LimitedAction::Reset, origin), origin).await
    }

    /// Admits a refresh, an authorization request, or a client without credentials: a generous
    /// limit, per instance.
    pub(super) fn admit_refresh(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.refreshes, origin)
    }

    /// Admits a change by a user to their own account, sessions or consents, or a logout request: a
    /// limit like that of a refresh.
    pub(super) fn admit_change(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.changes, origin)
    }

    /// Counts a failed client authentication, and rejects when there are too many. Successful ones
    /// are not counted, so that no client can lock out another one at its address.
    pub(super) fn admit_failed_proof(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.failed_proofs, origin)
    }

    /// Whether a failure that is free to cause is recorded in the audit log. Each kind has its own
    /// limit, so that one cannot hide another.
    pub(super) fn admit_record(&self, kind: Kind, origin: &Origin) -> bool {
        let records = match kind {
            Kind::ClientAuthenticationFailed => &self.client_records,
            _ => &self.refresh_records,
        };
        let is_admitted =
            self.check(&records.of_client, origin).is_ok() && records.of_all.check().is_ok();
        if !is_admitted {
            records.left_out.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Admits a request of an authenticated client: a limit per client, whatever its address, so
    /// that others at the address do not use it up.
    pub(super) fn admit_client(
        &self,
        endpoint: ClientEndpoint,
        client_id: &str,
    ) -> Result<(), AttemptError> {
        let checked = self.client_requests.check_key(&(endpoint, client_id.to_owned()));
        checked.map_err(|until| {
            let (quota, retry_after) = (self.settings.client_requests_per_minute, wait(&until));
            AttemptError::Refused(Refusal { quota_name: "client", quota, retry_after })
        })
    }

    /// Admits a request with an access token, before the token is checked.
    pub(super) fn admit_request(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.requests, origin)
    }

    /// Evicts idle clients, and logs how many audit records were left out; to be called about once
    /// a minute.
    pub fn sweep(&self) {
        let Self { sign_ups, log_ins, resets, confirmations, refreshes, .. } = self;
        let Self { changes, requests, failed_proofs, refresh_records, client_records, .. } = self;
        let of_passwords = [sign_ups, log_ins, resets, confirmations];
        for front in of_passwords.into_iter().chain([refreshes, changes, requests, failed_proofs]) {
            front.sweep();
        }
        let records = [("forged refresh tokens", refresh_records), ("clients", client_records)];
        for (what, records) in records {
            records.of_client.sweep();
            let number = records.left_out.swap(0, Ordering::Relaxed);
            if number > 0 {
                tracing::warn!(
                    "{number} more refusals ({what}) are not in the audit log: too many"
                );
            }
        }
        evict_idle(&self.client_requests);
    }

    fn of_address(&self, endpoint: LimitedAction, origin: &Origin) -> Vec<Quota> {
        let LimitSettings { ipv6_prefix, attempts_per_minute, .. } = self.settings;
        let attempts = match endpoint {
            LimitedAction::SignUp => self.settings.sign_ups(),
            LimitedAction::LogIn | LimitedAction::Reset | LimitedAction::Confirm => {
                attempts_per_minute
            }
        };
        Quota::of_address(&self.key, endpoint, origin.address, ipv6_prefix, attempts)
    }

    fn of_address_and_account(
        &self,
        endpoint: LimitedAction,
        email: &Email,
        origin: &Origin,
    ) -> Vec<Quota> {
        let mut quotas = self.of_address(endpoint, origin);
        let attempts = self.settings.account_attempts_per_minute;
        quotas.push(Quota::of_account(&self.key, email, attempts));
        quotas
    }

    fn check(&self, front: &Front, origin: &Origin) -> Result<(), AttemptError> {
        let checked = front.check(origin.address, self.settings.ipv6_prefix);
        checked.map_err(AttemptError::Refused)
    }
}

/// A coarse limit, per instance: GCRA, one bucket per client, and one per IPv6 /48.
struct Front {
    clients: DefaultKeyedRateLimiter<u128>,
    blocks: DefaultKeyedRateLimiter<u128>,
    crowd: DefaultDirectRateLimiter,
    /// The quota that rejections report.
    quota: u32,
    /// The minimum `Retry-After` of rejections.
    least_wait: Duration,
}

impl Front {
    fn per_minute(quota: u32) -> Self {
        let crowd = per_minute(quota.saturating_mul(CROWD_FACTOR));
        Self {
            clients: DefaultKeyedRateLimiter::keyed(per_minute(quota)),
            blocks: DefaultKeyedRateLimiter::keyed(per_minute(of_block(quota))),
            crowd: DefaultDirectRateLimiter::direct(crowd),
            quota,
            least_wait: Duration::ZERO,
        }
    }

    /// A limit in front of an exact limit of `quota`, which its rejections report: a client at this
    /// limit is above the exact one, too, and both admit it after a whole window.
    fn before_exact(quota: u32, factor: u32) -> Self {
        let front = Self::per_minute(quota.saturating_mul(factor));
        Self { quota, least_wait: WINDOW, ..front }
    }

    /// The client's own bucket comes first: what it rejects does not count against the /48.
    fn check(&self, address: Option<IpAddr>, prefix: u8) -> Result<(), Refusal> {
        if self.clients.len() >= CLIENTS || self.blocks.len() >= CLIENTS {
            return self.crowd.check().map_err(|until| self.refusal(self.quota, &until));
        }
        let checked = self.clients.check_key(&client(address, prefix));
        checked.map_err(|until| self.refusal(self.quota, &until))?;
        let Some(block) = block(address, prefix) else { return Ok(()) };
        let checked = self.blocks.check_key(&block);
        checked.map_err(|until| self.refusal(of_block(self.quota), &until))
    }

    fn refusal(&self, quota: u32, until: &NotUntil<QuantaInstant>) -> Refusal {
        let retry_after = wait(until).max(self.least_wait);
        Refusal { quota_name: "address", quota, retry_after }
    }

    fn sweep(&self) {
        evict_idle(&self.clients);
        evict_idle(&self.blocks);
    }
}

/// How many failures of a kind are recorded.
struct Records {
    of_client: Front,
    of_all: DefaultDirectRateLimiter,
    /// Failures that were not recorded since the last log line about them.
    left_out: AtomicU64,
}

impl Records {
    fn new() -> Self {
        Self {
            of_client: Front::per_minute(RECORDS_OF_CLIENT),
            of_all: DefaultDirectRateLimiter::direct(per_minute(RECORDS_OF_ALL)),
            left_out: AtomicU64::new(0),
        }
    }
}

/// How long to wait until an attempt is admitted.
fn wait(until: &NotUntil<QuantaInstant>) -> Duration {
    until.wait_time_from(DefaultClock::default().now())
}

fn evict_idle<K: Hash + Eq + Clone>(buckets: &DefaultKeyedRateLimiter<K>) {
    buckets.retain_recent();
    buckets.shrink_to_fit();
}

fn per_minute(quota: u32) -> Rate {
    Rate::per_minute(NonZeroU32::new(quota).unwrap_or(NonZeroU32::MIN))
}

/// The quota of a /48, from that of a client.
const fn of_block(quota: u32) -> u32 {
    quota.saturating_mul(BACKSTOP_FACTOR)
}

/// The /48 that an IPv6 client belongs to; none if a client is that large or larger.
fn block(address: Option<IpAddr>, prefix: u8) -> Option<u128> {
    match address?.to_canonical() {
        IpAddr::V6(v6) if prefix > BACKSTOP_PREFIX => {
            Some(client(Some(v6.into()), BACKSTOP_PREFIX))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    /// RL-05: an IPv4-mapped address is its IPv4 address, and a /64 is one client.
    #[test]
    fn spellings_of_a_client_address_share_a_bucket() {
        let of = |text: &str| client(Some(text.parse().unwrap()), 64);

        assert_eq!(of("203.0.113.9"), of("::ffff:203.0.113.9"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("203.0.113.9"), of("203.0.113.10"));
    }

    fn address(bits: u128) -> IpAddr {
        Ipv6Addr::from_bits(bits).into()
    }

    /// RL-10: above the cap, clients share a bucket and the table does not grow.
    #[test]
    fn number_of_buckets_is_bounded() {
        let front = Front::per_minute(1);

        // Each in its own /48.
        for client in 0..u128::try_from(CLIENTS).unwrap() + 1_500 {
            let _ = front.check(Some(address((0x2001 << 112) | (client << 80))), 64);
        }

        assert_eq!((front.clients.len(), front.blocks.len()), (CLIENTS, CLIENTS));
        assert!(front.check(Some(address(0x3001 << 112)), 64).is_err());
    }

    /// W4: the clients of a /48 share ten times the quota of one; what the limit of one client
    /// rejects does not count.
    #[test]
    fn ipv6_48_is_limited_as_a_whole() {
        let front = Front::per_minute(3);
        let client = |n: u128| Some(address((0x2001_0db8_0007 << 80) | (n << 64) | 1));

        let admitted = (0..1_000).filter(|n| front.check(client(*n), 64).is_ok()).count();
        assert_eq!(admitted, 30);
        assert_eq!(front.check(client(1_001), 64).unwrap_err().quota, 30);
        // The neighbouring /48, and IPv4.
        assert!(front.check(Some(address(0x2001_0db8_0008 << 80)), 64).is_ok());
        assert!(front.check(Some("203.0.113.7".parse().unwrap()), 64).is_ok());

        let front = Front::per_minute(3);
        for _ in 0..100 {
            let _ = front.check(client(0), 64);
        }
        assert!((1..=9).all(|n| (0..3).all(|_| front.check(client(n), 64).is_ok())));
        assert!(front.check(client(10), 64).is_err());
    }

    /// A client that is a whole /48 has no second bucket.
    #[test]
    fn client_that_is_a_whole_48_has_one_bucket() {
        for (text, prefix, is_behind) in
            [("2001:db8::1", 64, true), ("2001:db8::1", 49, true), ("2001:db8::1", 48, false)]
        {
            assert_eq!(block(Some(text.parse().unwrap()), prefix).is_some(), is_behind, "{prefix}");
        }
        assert_eq!(block(Some("::ffff:203.0.113.9".parse().unwrap()), 64), None);
        assert_eq!(block(None, 64), None);
    }
}
