//! Quotas: which actions are limited, and to how many attempts.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::email::Email;
use crate::domain::keys::LimitKey;
use crate::domain::network;

/// Prefix length of the larger IPv6 block that is limited in addition to the per-client prefix.
pub const BACKSTOP_PREFIX: u8 = 48;

/// The quota of an IPv6 /48, as a multiple of the quota of one client.
pub const BACKSTOP_FACTOR: u32 = 10;

/// The name of account quotas.
pub(super) const ACCOUNT: &str = "account";

/// Actions with separate attempt limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedAction {
    /// Sign-up.
    SignUp,
    /// Login.
    LogIn,
    /// Setting a new password with a reset token.
    Reset,
    /// Asking for a mail with a reset token.
    RequestReset,
    /// Confirming an address with the link or the code of a mail.
    ConfirmEmail,
    /// Asking for a mail that verifies an address.
    RequestVerification,
    /// Reauthentication: entering the password again while logged in.
    Reauthenticate,
}

impl LimitedAction {
    const fn name(self) -> &'static str {
        match self {
            Self::SignUp => "signup",
            Self::LogIn => "login",
            Self::Reset => "reset",
            Self::RequestReset => "reset_request",
            Self::ConfirmEmail => "email_confirmation",
            Self::RequestVerification => "email_verification_request",
            Self::Reauthenticate => "confirm",
        }
    }

    /// Whether an attempt that does not fail is refunded to the window of its client address: true
    /// for actions whose success requires an existing account.
    const fn is_refundable(self) -> bool {
        match self {
            Self::LogIn | Self::Reauthenticate => true,
            Self::SignUp
            | Self::Reset
            | Self::RequestReset
            | Self::ConfirmEmail
            | Self::RequestVerification => false,
        }
    }
}

/// An attempt key as stored: an HMAC, which is the primary key of a row in the attempt table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptKey(pub(super) Vec<u8>);

/// A key and the number of attempts allowed in any [`WINDOW`](super::WINDOW).
#[derive(Debug, Clone)]
pub struct Quota {
    pub(super) key: AttemptKey,
    pub(super) attempts: u32,
    name: &'static str,
    /// Whether an attempt that does not fail is refunded.
    pub(super) is_refundable: bool,
}

impl Quota {
    /// The quotas of a client address for an action: the quota of the address itself, and for IPv6
    /// also the quota of its /48.
    ///
    /// All clients without an address share one quota.
    #[must_use]
    pub fn of_address(
        key: &LimitKey,
        action: LimitedAction,
        address: Option<IpAddr>,
        ipv6_prefix: u8,
        attempts: u32,
    ) -> Vec<Self> {
        let quota = |client: &str, attempts| Self {
            key: AttemptKey(key.mac(&[action.name(), client])),
            attempts,
            name: "address",
            is_refundable: action.is_refundable(),
        };
        match address.map(|address| address.to_canonical()) {
            None => vec![quota("unknown", attempts)],
            Some(IpAddr::V4(v4)) => vec![quota(&v4.to_string(), attempts)],
            Some(IpAddr::V6(_)) => {
                let block = |prefix: u8| format!("{:x}/{prefix}", network::client(address, prefix));
                let mut quotas = vec![quota(&block(ipv6_prefix), attempts)];
                if ipv6_prefix > BACKSTOP_PREFIX {
                    let shared = attempts.saturating_mul(BACKSTOP_FACTOR);
                    quotas.push(quota(&block(BACKSTOP_PREFIX), shared));
                }
                quotas
            }
        }
    }

    /// The key, if this is an account quota: the digest of the account's email address. `None` for
    /// other quotas.
    pub(super) fn account_key(&self) -> Option<&AttemptKey> {
        (self.name == ACCOUNT).then_some(&self.key)
    }

    pub(super) fn refusal(&self, retry_after: Duration) -> Refusal {
        Refusal { quota_name: self.name, quota: self.attempts, retry_after }
    }

    /// The quota of attempts at one account's password, whether or not the account exists.
    #[must_use]
    pub fn of_account(key: &LimitKey, email: &Email, attempts: u32) -> Self {
        let key = AttemptKey::of_account(key, email);
        Self { key, attempts, name: ACCOUNT, is_refundable: false }
    }
}

impl AttemptKey {
    /// The key of attempts at one account's password.
    #[must_use]
    pub fn of_account(key: &LimitKey, email: &Email) -> Self {
        Self(key.mac(&["account", email.key()]))
    }

    /// The key of mails of one class to one email address. Each class has its own limit.
    #[must_use]
    pub fn of_recipient(key: &LimitKey, class: &str, email: &Email) -> Self {
        Self(key.mac(&["mail", class, email.key()]))
    }

    /// The key of mails to one address that requests from one client address cause. All clients
    /// without an address share one key.
    #[must_use]
    pub fn of_requester(
        key: &LimitKey,
        class: &str,
        email: &Email,
        (address, ipv6_prefix): (Option<IpAddr>, u8),
    ) -> Self {
        let client = format!("{:x}", network::client(address, ipv6_prefix));
        Self(key.mac(&["mail by client", class, email.key(), &client]))
    }

    /// The key of wrong codes for an account and a purpose.
    #[must_use]
    pub fn of_code(key: &LimitKey, purpose: &str, account_id: Uuid) -> Self {
        Self(key.mac(&["code", purpose, &account_id.to_string()]))
    }

    /// The key as bytes: a keyed digest.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        self.0.clone()
    }
}

/// An attempt that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The exceeded quota: `address`, `account` or `client`.
    pub quota_name: &'static str,
    /// The number of attempts that the quota allows in a window.
    pub quota: u32,
    /// The time until the next attempt can be admitted.
    pub retry_after: Duration,
}

impl Refusal {
    /// The time to wait in whole seconds, rounded up.
    #[must_use]
    pub fn seconds(&self) -> NonZeroU64 {
        whole_seconds(self.retry_after)
    }
}

/// A wait in whole seconds for `Retry-After`, rounded up, and at least one.
#[must_use]
pub fn whole_seconds(wait: Duration) -> NonZeroU64 {
    let seconds = wait.as_micros().div_ceil(1_000_000);
    u64::try_from(seconds).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN)
}
