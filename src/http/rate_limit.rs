//! Rate limits: exact limits in the database, and coarse limits in memory, which are checked first.
//!
//! The coarse limits are per instance. They reject a flood of requests before the database is
//! queried. A coarse limit that precedes an exact limit admits four times as many attempts, or 24
//! times as many logins and reauthentications. So it rejects a client that respects the exact limit
//! only for very many successful logins, which the exact limit does not count. As with the exact
//! limit, each IPv6 client has a bucket of its own, and all clients of a /48 share a second bucket.
//! Memory is bounded: once `MAX_BUCKETS` clients have buckets, all clients share one bucket until
//! idle buckets are evicted.

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
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::keys::LimitKey;
pub use crate::domain::network::client;

/// Factor by which a coarse limit exceeds the exact limit.
const COARSE_FACTOR: u32 = 4;

/// The factor for logins and reauthentications. It is higher because the exact limit refunds
/// successful attempts, and many users may share a client address.
const COARSE_FACTOR_OF_LOGINS: u32 = 24;

/// Maximum number of client buckets, and of /48 buckets, in a coarse limit. This number of buckets
/// takes some 10 MiB.
const MAX_BUCKETS: usize = 200_000;

/// Factor by which the bucket that all clients share exceeds that of one client.
const SHARED_FACTOR: u32 = 1_000;

/// Maximum number of failures of one kind that are recorded per minute for one client, so that the
/// audit log stays readable.
const RECORDS_PER_CLIENT: u32 = 20;

/// Maximum number of failures of one kind that are recorded per minute for all clients.
const RECORDS_IN_TOTAL: u32 = 600;

/// The rate limits of all endpoints.
pub struct Limits {
    settings: LimitSettings,
    key: LimitKey,
    sign_ups: CoarseLimit,
    log_ins: CoarseLimit,
    resets: CoarseLimit,
    reauthentications: CoarseLimit,
    refreshes: CoarseLimit,
    changes: CoarseLimit,
    requests: CoarseLimit,
    failed_authentications: CoarseLimit,
    forged_refresh_tokens: RecordLimits,
    failed_client_authentications: RecordLimits,
    /// One bucket per registered client and kind of request. The number of registered clients
    /// bounds the number of buckets.
    client_requests: DefaultKeyedRateLimiter<(ClientEndpoint, String)>,
}

/// The kind of request of an authenticated client; each has its own rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientEndpoint {
    /// A token or revocation request.
    Token,
    /// An introspection request, which resource servers may send for each of their own requests.
    Introspection,
}

/// A failure that costs a client nothing to cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FreeFailure {
    /// A refresh token that this service has not issued.
    ForgedRefreshToken,
    /// A failed client authentication.
    ClientAuthentication,
}

impl FreeFailure {
    /// The audit event of the failure.
    pub(super) fn event(self) -> Event {
        Event::new(match self {
            Self::ForgedRefreshToken => Kind::RefreshFailed,
            Self::ClientAuthentication => Kind::ClientAuthenticationFailed,
        })
    }
}

impl Limits {
    /// The limits from `settings`. In the attempt table, `key` replaces client addresses and email
    /// addresses by digests.
    #[must_use]
    pub fn new(settings: LimitSettings, key: LimitKey) -> Self {
        Self {
            sign_ups: CoarseLimit::before_exact(settings.sign_ups(), COARSE_FACTOR),
            log_ins: CoarseLimit::before_exact(
                settings.attempts_per_minute,
                COARSE_FACTOR_OF_LOGINS,
            ),
            resets: CoarseLimit::before_exact(settings.attempts_per_minute, COARSE_FACTOR),
            reauthentications: CoarseLimit::before_exact(
                settings.attempts_per_minute,
                COARSE_FACTOR_OF_LOGINS,
            ),
            refreshes: CoarseLimit::per_minute(settings.refreshes_per_minute),
            changes: CoarseLimit::per_minute(settings.refreshes_per_minute),
            requests: CoarseLimit::per_minute(settings.requests_per_minute),
            failed_authentications: CoarseLimit::before_exact(
                settings.attempts_per_minute,
                COARSE_FACTOR,
            ),
            forged_refresh_tokens: RecordLimits::new(),
            failed_client_authentications: RecordLimits::new(),
            client_requests: DefaultKeyedRateLimiter::keyed(per_minute(
                settings.client_requests_per_minute,
            )),
            settings,
            key,
        }
    }

    /// The key of the digests that replace client addresses and email addresses in the attempt
    /// table.
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
        let quotas = self.address_quotas(LimitedAction::SignUp, origin);
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
        let quotas = self.address_and_account_quotas(LimitedAction::LogIn, email, origin);
        attempt_limit::admit(db, quotas, origin).await
    }

    /// Applies the coarse limit to a reauthentication, before the account is known.
    pub(super) fn admit_reauthentication_early(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.reauthentications, origin)
    }

    /// Admits and counts a reauthentication: like a login to the account of `email`.
    pub(super) async fn admit_reauthentication(
        &self,
        db: &Db,
        email: &Email,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        let quotas = self.address_and_account_quotas(LimitedAction::Reauthenticate, email, origin);
        attempt_limit::admit(db, quotas, origin).await
    }

    /// Admits and counts the use of a reset token.
    pub(super) async fn admit_reset(
        &self,
        db: &Db,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        self.check(&self.resets, origin)?;
        attempt_limit::admit(db, self.address_quotas(LimitedAction::Reset, origin), origin).await
    }

    /// Admits and counts a request for a mail with a reset token.
    pub(super) async fn admit_reset_request(
        &self,
        db: &Db,
        email: &Email,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        self.check(&self.resets, origin)?;
        let quotas = self.address_quotas(LimitedAction::RequestReset, origin);
        let admitted = attempt_limit::admit(db, quotas, origin).await?;
        Ok(admitted.at_account(AttemptKey::of_account(&self.key, email)))
    }

    /// Admits and counts the use of a link or a code that confirms an address.
    pub(super) async fn admit_email_confirmation(
        &self,
        db: &Db,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        self.check(&self.resets, origin)?;
        let quotas = self.address_quotas(LimitedAction::ConfirmEmail, origin);
        attempt_limit::admit(db, quotas, origin).await
    }

    /// Admits and counts a request for a mail that verifies an address.
    pub(super) async fn admit_verification_request(
        &self,
        db: &Db,
        origin: &Origin,
    ) -> Result<Admitted, AttemptError> {
        self.check(&self.resets, origin)?;
        let quotas = self.address_quotas(LimitedAction::RequestVerification, origin);
        attempt_limit::admit(db, quotas, origin).await
    }

    /// Admits a refresh, an authorization request, or a request of a client without credentials.
    /// These requests are authenticated by no password or access token. The limit is high, and per
    /// instance.
    pub(super) fn admit_unauthenticated(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.refreshes, origin)
    }

    /// Admits a logout request, or a change by a user to their own account, sessions or consents.
    /// The limit is separate from that of refreshes, but of the same size.
    pub(super) fn admit_change(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.changes, origin)
    }

    /// Counts a failed client authentication, and rejects it if there are too many. Successes are
    /// not counted, so that no client can lock out another client at the same client address.
    pub(super) fn admit_failed_authentication(&self, origin: &Origin) -> Result<(), AttemptError> {
        self.check(&self.failed_authentications, origin)
    }

    /// Whether the audit log may record a failure that costs a client nothing to cause. Each kind
    /// of failure has its own limit, so that failures of one kind cannot hide those of another
    /// kind.
    pub(super) fn admit_record(&self, failure: FreeFailure, origin: &Origin) -> bool {
        let records = match failure {
            FreeFailure::ForgedRefreshToken => &self.forged_refresh_tokens,
            FreeFailure::ClientAuthentication => &self.failed_client_authentications,
        };
        let is_admitted =
            self.check(&records.per_client, origin).is_ok() && records.in_total.check().is_ok();
        if !is_admitted {
            records.omitted.fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Admits a request of an authenticated client. The limit is per registered client, not per
    /// client address, so that other clients at the same address do not use it up.
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

    /// Evicts idle buckets, and logs how many failures were not recorded. Call it about once a
    /// minute.
    pub fn sweep(&self) {
        // All fields are named, so that a new limit does not compile until it is swept.
        let Self {
            settings: _,
            key: _,
            sign_ups,
            log_ins,
            resets,
            reauthentications,
            refreshes,
            changes,
            requests,
            failed_authentications,
            forged_refresh_tokens,
            failed_client_authentications,
            client_requests,
        } = self;
        let password_limits = [sign_ups, log_ins, resets, reauthentications];
        let other_limits = [refreshes, changes, requests, failed_authentications];
        for limit in password_limits.into_iter().chain(other_limits) {
            limit.sweep();
        }
        let records = [
            ("forged refresh tokens", forged_refresh_tokens),
            ("failed client authentications", failed_client_authentications),
        ];
        for (what, records) in records {
            records.per_client.sweep();
            let count = records.omitted.swap(0, Ordering::Relaxed);
            if count > 0 {
                tracing::warn!(
                    "{count} failures ({what}) were too many to record in the audit log"
                );
            }
        }
        evict_idle(client_requests);
    }

    fn address_quotas(&self, action: LimitedAction, origin: &Origin) -> Vec<Quota> {
        let LimitSettings { ipv6_prefix, attempts_per_minute, .. } = self.settings;
        let attempts = match action {
            LimitedAction::SignUp => self.settings.sign_ups(),
            LimitedAction::LogIn
            | LimitedAction::Reset
            | LimitedAction::RequestReset
            | LimitedAction::ConfirmEmail
            | LimitedAction::RequestVerification
            | LimitedAction::Reauthenticate => attempts_per_minute,
        };
        Quota::of_address(&self.key, action, origin.address, ipv6_prefix, attempts)
    }

    fn address_and_account_quotas(
        &self,
        action: LimitedAction,
        email: &Email,
        origin: &Origin,
    ) -> Vec<Quota> {
        let mut quotas = self.address_quotas(action, origin);
        let attempts = self.settings.account_attempts_per_minute;
        quotas.push(Quota::of_account(&self.key, email, attempts));
        quotas
    }

    fn check(&self, limit: &CoarseLimit, origin: &Origin) -> Result<(), AttemptError> {
        let checked = limit.check(origin.address, self.settings.ipv6_prefix);
        checked.map_err(AttemptError::Refused)
    }
}

/// A coarse limit, per instance: GCRA, one bucket per client, and one per IPv6 /48.
struct CoarseLimit {
    clients: DefaultKeyedRateLimiter<u128>,
    blocks: DefaultKeyedRateLimiter<u128>,
    /// The bucket that all clients share while there are too many buckets.
    shared: DefaultDirectRateLimiter,
    /// The quota that rejections report.
    quota: u32,
    /// The minimum `Retry-After` of rejections.
    min_wait: Duration,
}

impl CoarseLimit {
    fn per_minute(quota: u32) -> Self {
        let shared = per_minute(quota.saturating_mul(SHARED_FACTOR));
        Self {
            clients: DefaultKeyedRateLimiter::keyed(per_minute(quota)),
            blocks: DefaultKeyedRateLimiter::keyed(per_minute(of_block(quota))),
            shared: DefaultDirectRateLimiter::direct(shared),
            quota,
            min_wait: Duration::ZERO,
        }
    }

    /// A coarse limit that is checked before an exact limit of `quota`. Its rejections report
    /// `quota` and a wait of at least a whole window: a client that this limit rejects usually
    /// exceeds the exact limit, too, and both limits admit the client again after a whole window.
    fn before_exact(quota: u32, factor: u32) -> Self {
        let limit = Self::per_minute(quota.saturating_mul(factor));
        Self { quota, min_wait: WINDOW, ..limit }
    }

    /// Checks the client's own bucket first, so that a request which this bucket rejects does not
    /// count against the /48.
    fn check(&self, address: Option<IpAddr>, prefix: u8) -> Result<(), Refusal> {
        if self.clients.len() >= MAX_BUCKETS || self.blocks.len() >= MAX_BUCKETS {
            return self.shared.check().map_err(|until| self.refusal(self.quota, &until));
        }
        let checked = self.clients.check_key(&client(address, prefix));
        checked.map_err(|until| self.refusal(self.quota, &until))?;
        let Some(block) = block(address, prefix) else { return Ok(()) };
        let checked = self.blocks.check_key(&block);
        checked.map_err(|until| self.refusal(of_block(self.quota), &until))
    }

    fn refusal(&self, quota: u32, until: &NotUntil<QuantaInstant>) -> Refusal {
        let retry_after = wait(until).max(self.min_wait);
        Refusal { quota_name: "address", quota, retry_after }
    }

    fn sweep(&self) {
        evict_idle(&self.clients);
        evict_idle(&self.blocks);
    }
}

/// The limits for audit records of one kind of failure.
struct RecordLimits {
    per_client: CoarseLimit,
    in_total: DefaultDirectRateLimiter,
    /// The number of failures that were not recorded since the last log line about such failures.
    omitted: AtomicU64,
}

impl RecordLimits {
    fn new() -> Self {
        Self {
            per_client: CoarseLimit::per_minute(RECORDS_PER_CLIENT),
            in_total: DefaultDirectRateLimiter::direct(per_minute(RECORDS_IN_TOTAL)),
            omitted: AtomicU64::new(0),
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

/// The /48 that contains an IPv6 client. `None` for IPv4, and if each client is a whole /48.
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

    /// RL-10: above the cap, all clients share one bucket, and the number of buckets does not grow.
    #[test]
    fn number_of_buckets_is_bounded() {
        let limit = CoarseLimit::per_minute(1);

        // Each client is in its own /48. The last 1,500 requests are more than the shared bucket
        // admits.
        for client in 0..u128::try_from(MAX_BUCKETS).unwrap() + 1_500 {
            let _ = limit.check(Some(address((0x2001 << 112) | (client << 80))), 64);
        }

        assert_eq!((limit.clients.len(), limit.blocks.len()), (MAX_BUCKETS, MAX_BUCKETS));
        assert!(limit.check(Some(address(0x3001 << 112)), 64).is_err());
    }

    /// W4: the clients of a /48 share ten times the quota of one client. A request that exceeds the
    /// quota of its client does not count against the /48.
    #[test]
    fn ipv6_48_is_limited_as_a_whole() {
        let limit = CoarseLimit::per_minute(3);
        let client = |n: u128| Some(address((0x2001_0db8_0007 << 80) | (n << 64) | 1));

        let admitted = (0..1_000).filter(|n| limit.check(client(*n), 64).is_ok()).count();
        assert_eq!(admitted, 30);
        assert_eq!(limit.check(client(1_001), 64).unwrap_err().quota, 30);
        // The neighbouring /48, and IPv4.
        assert!(limit.check(Some(address(0x2001_0db8_0008 << 80)), 64).is_ok());
        assert!(limit.check(Some("203.0.113.7".parse().unwrap()), 64).is_ok());

        let limit = CoarseLimit::per_minute(3);
        for _ in 0..100 {
            let _ = limit.check(client(0), 64);
        }
        assert!((1..=9).all(|n| (0..3).all(|_| limit.check(client(n), 64).is_ok())));
        assert!(limit.check(client(10), 64).is_err());
    }

    #[test]
    fn client_that_is_a_whole_ipv6_48_has_one_bucket() {
        for (text, prefix, has_block) in
            [("2001:db8::1", 64, true), ("2001:db8::1", 49, true), ("2001:db8::1", 48, false)]
        {
            assert_eq!(block(Some(text.parse().unwrap()), prefix).is_some(), has_block, "{prefix}");
        }
        assert_eq!(block(Some("::ffff:203.0.113.9".parse().unwrap()), 64), None);
        assert_eq!(block(None, 64), None);
    }
}
