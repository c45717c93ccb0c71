//! Exact limits that all instances share: at most so many attempts in any 60 seconds.
//!
//! The window slides: the times of recent attempts are kept per key, and an attempt is admitted if
//! fewer than the quota lie within the last minute. It is counted when it starts, whatever becomes
//! of it. Refused attempts are not counted, so nobody can prolong a block, least of all a
//! neighbour's behind the same address. Keys are HMACs: the table holds no address.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, Set};

use crate::database::{Db, Purged, delete_expired};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::keys::LimitKey;
use crate::entity::attempt::{self, Hits};
use crate::timestamp::Timestamp;

/// The length of every window.
pub const WINDOW: Duration = Duration::from_mins(1);

/// Prefix length of the IPv6 block that backs the per-client prefix up.
pub const BACKSTOP_PREFIX: u8 = 48;

/// How many clients' attempts an IPv6 /48 may make together.
pub const BACKSTOP_FACTOR: u32 = 10;

/// The name of the quota of attempts at one account's password.
const ACCOUNT: &str = "account";

/// The endpoints that take a password, limited each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// Making an account.
    SignUp,
    /// Logging in.
    LogIn,
    /// Choosing a new password with a reset token.
    Reset,
    /// Typing the password once more, while logged in.
    Confirm,
}

impl Credential {
    const fn name(self) -> &'static str {
        match self {
            Self::SignUp => "signup",
            Self::LogIn => "login",
            Self::Reset => "reset",
            Self::Confirm => "confirm",
        }
    }
}

/// What is limited, as the table knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptKey(Vec<u8>);

/// A key and the attempts it has in any [`WINDOW`].
#[derive(Debug, Clone)]
pub struct Quota {
    key: AttemptKey,
    attempts: u32,
    name: &'static str,
}

impl Quota {
    /// The quotas of a client address on one endpoint: its own, and for IPv6 that of its /48.
    ///
    /// A client without an address shares one bucket with all others like it.
    #[must_use]
    pub fn of_address(
        key: &LimitKey,
        endpoint: Credential,
        address: Option<IpAddr>,
        ipv6_prefix: u8,
        attempts: u32,
    ) -> Vec<Self> {
        let quota = |scope: &str, attempts| Self {
            key: AttemptKey(key.mac(&[endpoint.name(), scope])),
            attempts,
            name: "address",
        };
        match address.map(|address| address.to_canonical()) {
            None => vec![quota("unknown", attempts)],
            Some(IpAddr::V4(v4)) => vec![quota(&v4.to_string(), attempts)],
            Some(IpAddr::V6(v6)) => {
                let block = |prefix: u8| {
                    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                    format!("{:x}/{prefix}", v6.to_bits() & mask)
                };
                let mut quotas = vec![quota(&block(ipv6_prefix), attempts)];
                if ipv6_prefix > BACKSTOP_PREFIX {
                    let shared = attempts.saturating_mul(BACKSTOP_FACTOR);
                    quotas.push(quota(&block(BACKSTOP_PREFIX), shared));
                }
                quotas
            }
        }
    }

    /// The quota of attempts at one account's password, whether or not anybody has it.
    #[must_use]
    pub fn of_account(key: &LimitKey, email: &Email, attempts: u32) -> Self {
        Self { key: AttemptKey::of_account(key, email), attempts, name: ACCOUNT }
    }
}

impl AttemptKey {
    /// The key of attempts at one account's password.
    #[must_use]
    pub fn of_account(key: &LimitKey, email: &Email) -> Self {
        Self(key.mac(&["account", email.key()]))
    }
}

/// An attempt that came too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What was exceeded: `address`, `account` or `client`.
    pub quota_name: &'static str,
    /// How many attempts the window allows.
    pub quota: u32,
    /// When the next attempt can be admitted.
    pub retry_after: Duration,
}

impl Refusal {
    /// The whole seconds to wait, rounded up: who waits that long is admitted.
    #[must_use]
    pub fn seconds(&self) -> NonZeroU64 {
        whole_seconds(self.retry_after)
    }
}

/// A wait in whole seconds as `Retry-After` has them, rounded up, and at least one.
#[must_use]
pub fn whole_seconds(wait: Duration) -> NonZeroU64 {
    let seconds = wait.as_micros().div_ceil(1_000_000);
    u64::try_from(seconds).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN)
}

/// An attempt that was admitted and counted. What checks or sets a password takes it by value, so that
/// no attempt can be made without one.
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    account_window: Option<AttemptKey>,
}

impl Admitted {
    /// The window of the attempts at the account's password, which a right password empties; none if
    /// the attempt is limited by address alone.
    pub(crate) fn account_window(&self) -> Option<AttemptKey> {
        self.account_window.clone()
    }
}

/// Why an attempt may not go on.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// It came too early.
    #[error("too many attempts")]
    Refused(Refusal),
    /// Whether it did cannot be told, so it may not: limits fail closed.
    #[error("the attempt could not be counted")]
    Database(#[from] DbErr),
}

/// Admits and counts an attempt if every quota has room for it; counts nothing otherwise.
///
/// The first refusal of a window is recorded as `rate_limited`.
///
/// # Errors
/// See [`AttemptError`].
pub async fn admit(
    db: &Db,
    mut quotas: Vec<Quota>,
    origin: &Origin,
) -> Result<Admitted, AttemptError> {
    let of_account = quotas.iter().find(|quota| quota.name == ACCOUNT);
    let admitted = Admitted { account_window: of_account.map(|quota| quota.key.clone()) };
    // One order for everybody: no two attempts can wait for each other's rows.
    quotas.sort_by(|a, b| a.key.cmp(&b.key));
    let origin = origin.clone();
    let refused = db.write((quotas, origin), move |txn, now, (quotas, origin)| {
        Box::pin(async move {
            let mut windows = Vec::with_capacity(quotas.len());
            for quota in quotas {
                windows.push(lock(txn, &quota.key, now).await?);
            }
            let refusal = quotas.iter().zip(&windows).find_map(|(quota, row)| {
                let retry_after = time_until_room(&row.hits, quota.attempts, now)?;
                let Quota { name: quota_name, attempts: quota, .. } = *quota;
                Some((Refusal { quota_name, quota, retry_after }, row))
            });
            if let Some((refusal, row)) = refusal {
                record_refusal(txn, row, refusal, origin, now).await?;
                return Ok(Some(refusal));
            }
            for row in windows {
                count(txn, row, now).await?;
            }
            Ok::<_, DbErr>(None)
        })
    });
    refused.await?.map_or(Ok(admitted), |refusal| Err(AttemptError::Refused(refusal)))
}

/// Empties a window, if there is one, as part of the transaction of a success.
///
/// # Errors
/// If the database refuses.
pub async fn forget(txn: &impl ConnectionTrait, window: Option<&AttemptKey>) -> Result<(), DbErr> {
    if let Some(AttemptKey(key)) = window {
        attempt::Entity::delete_by_id(key.clone()).exec(txn).await?;
    }
    Ok(())
}

/// Deletes windows that can refuse nobody any more.
///
/// # Errors
/// If the database refuses.
pub async fn purge(db: &Db) -> Result<Purged, DbErr> {
    delete_expired::<attempt::Entity>(db, attempt::Column::ExpiresAt, db.retention_now()).await
}

/// Reads the window of a key and holds it until the transaction ends; makes it if need be.
///
/// One statement: between making and reading, a success could [`forget`] the window.
async fn lock(
    txn: &impl ConnectionTrait,
    key: &AttemptKey,
    now: Timestamp,
) -> Result<attempt::Model, DbErr> {
    let empty = attempt::ActiveModel {
        key: Set(key.0.clone()),
        hits: Set(Hits::default()),
        refused_at: Set(None),
        expires_at: Set(now.plus(WINDOW)),
    };
    // Changes nothing of a window that is there, but takes the lock of a change.
    let hold =
        OnConflict::column(attempt::Column::Key).update_column(attempt::Column::Key).to_owned();
    attempt::Entity::insert(empty).on_conflict(hold).exec_with_returning(txn).await
}

/// `None` if the window has room.
fn time_until_room(hits: &Hits, quota: u32, now: Timestamp) -> Option<Duration> {
    let recent = recent(hits, now);
    let quota = usize::try_from(quota).unwrap_or(usize::MAX);
    // There is room as soon as fewer than `quota` hits lie within the window.
    let last_to_leave = recent.len().checked_sub(quota).and_then(|index| recent.get(index))?;
    Some(last_to_leave.plus(WINDOW).since(now))
}

/// Hits that lie within the window before `now`; one exactly a window ago does not.
fn recent(hits: &Hits, now: Timestamp) -> Vec<Timestamp> {
    let hits = hits.0.iter().map(|hit| Timestamp::from_micros(*hit));
    // One far ahead was made before the clock was set back.
    hits.filter(|hit| hit.plus(WINDOW) > now && *hit < now.plus(WINDOW)).collect()
}

async fn count(
    txn: &impl ConnectionTrait,
    row: attempt::Model,
    now: Timestamp,
) -> Result<(), DbErr> {
    let mut hits: Vec<i64> = recent(&row.hits, now).iter().map(|hit| hit.as_micros()).collect();
    hits.push(now.as_micros());
    let row = attempt::ActiveModel {
        key: Set(row.key),
        hits: Set(Hits(hits)),
        refused_at: Set(row.refused_at),
        expires_at: Set(now.plus(WINDOW)),
    };
    attempt::Entity::update(row).exec(txn).await?;
    Ok(())
}

/// Once per window: a flood of attempts must not become a flood of events.
async fn record_refusal(
    txn: &impl ConnectionTrait,
    row: &attempt::Model,
    refusal: Refusal,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    if row.refused_at.is_some_and(|at| at.plus(WINDOW) > now) {
        return Ok(());
    }
    let mut marked = attempt::ActiveModel::from(row.clone());
    marked.refused_at = Set(Some(now));
    marked.update(txn).await?;
    Event::new(Kind::RateLimited).reason(refusal.quota_name).record(txn, origin, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    /// RL-01: the window slides; it has room again a minute after the oldest of its hits.
    #[test]
    fn a_window_has_room_a_minute_after_its_oldest_hit() {
        let hits = Hits(vec![0, 10 * SECOND, 20 * SECOND, 30 * SECOND, 40 * SECOND]);

        assert_eq!(time_until_room(&hits, 5, at(41)), Some(Duration::from_secs(19)));
        assert_eq!(time_until_room(&hits, 5, at(60)), None);
        assert_eq!(time_until_room(&hits, 6, at(41)), None);
        assert_eq!(time_until_room(&hits, 4, at(60)), Some(Duration::from_secs(10)));
        assert_eq!(time_until_room(&hits, 1, at(60)), Some(Duration::from_secs(40)));
    }
}
