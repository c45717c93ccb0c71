//! Exact limits that all instances share: at most so many attempts in any 60 seconds.
//!
//! The window slides: the times of recent attempts are kept per key, and an attempt is admitted if
//! fewer than the quota lie within the last minute. It is counted when it starts. Refused attempts are
//! not counted, so nobody can prolong a block, least of all a neighbour's behind the same address. Keys
//! are HMACs: the table holds no address.
//!
//! Many people share an address, so a login that succeeds is given back to the window of its address, and
//! to no other; so is one that got no verdict. Whoever finds that window full of attempts that are still
//! under way waits for their verdicts. Failures are counted exactly, on however many instances.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, QuerySelect, Set, Unchanged};

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

/// How long an attempt waits for the verdicts of others.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How soon it looks again: first, and at most. The time doubles, since there may be very many that wait.
const POLL_INTERVALS: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_millis(800));

/// When to come again if others still have no verdict.
const SHORT: Duration = Duration::from_secs(1);

/// An attempt without a verdict for this long is not waited for: its instance has crashed, or its client
/// has gone. It is still given back if it succeeds.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

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

    /// Whether an attempt that does not fail is given back to the window of its address: where whoever
    /// succeeds has an account already.
    const fn gives_back(self) -> bool {
        matches!(self, Self::LogIn | Self::Confirm)
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
    /// Whether an attempt that does not fail is given back.
    is_given_back: bool,
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
            is_given_back: endpoint.gives_back(),
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

    fn refusal(&self, retry_after: Duration) -> Refusal {
        Refusal { quota_name: self.name, quota: self.attempts, retry_after }
    }

    /// The quota of attempts at one account's password, whether or not anybody has it.
    #[must_use]
    pub fn of_account(key: &LimitKey, email: &Email, attempts: u32) -> Self {
        let key = AttemptKey::of_account(key, email);
        Self { key, attempts, name: "account", is_given_back: false }
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
pub struct Admitted(Counted);

impl Admitted {
    /// Where the attempt is counted, for whoever comes to its verdict.
    pub(crate) fn counted(&self) -> Counted {
        self.0.clone()
    }
}

/// Where an attempt is counted until its verdict.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The windows it may be given back to, in the order in which they are locked.
    windows: Vec<AttemptKey>,
    at: Timestamp,
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

/// Admits and counts an attempt if every quota has room for it; counts nothing otherwise. If it may be
/// given back, and would be refused for attempts that may be, too, it waits for their verdicts, for five
/// seconds at most.
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
    // One order for everybody: no two attempts can wait for each other's rows.
    quotas.sort_by(|a, b| a.key.cmp(&b.key));
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        let is_last = Instant::now() >= deadline;
        match try_to_admit(db, &quotas, origin, is_last).await? {
            Tried::Admitted(at) => {
                let returned = quotas.into_iter().filter(|quota| quota.is_given_back);
                let windows = returned.map(|quota| quota.key).collect();
                return Ok(Admitted(Counted { windows, at }));
            }
            Tried::Refused(refusal) => return Err(AttemptError::Refused(refusal)),
            Tried::Full => wait_for_room(db, &quotas, deadline).await?,
        }
    }
}

/// What came of asking for room.
enum Tried {
    Admitted(Timestamp),
    Refused(Refusal),
    /// There may be room as soon as others have their verdict.
    Full,
}

async fn try_to_admit(
    db: &Db,
    quotas: &[Quota],
    origin: &Origin,
    is_last: bool,
) -> Result<Tried, DbErr> {
    let input = (quotas.to_vec(), origin.clone());
    db.write(input, move |txn, now, (quotas, origin)| {
        Box::pin(async move {
            let mut windows = Vec::with_capacity(quotas.len());
            for quota in quotas {
                windows.push(lock(txn, &quota.key, now).await?);
            }
            let refused = quotas.iter().zip(&windows).find_map(|(quota, row)| {
                let retry_after = time_until_room(&row.hits, quota.attempts, now)?;
                Some((quota, row, retry_after))
            });
            if let Some((quota, row, retry_after)) = refused {
                let may_have_room = quota.is_given_back && has_any_under_way(row, now);
                let refusal = match (may_have_room, is_last) {
                    (true, false) => return Ok(Tried::Full),
                    (true, true) => quota.refusal(SHORT),
                    (false, _) => quota.refusal(retry_after),
                };
                record_refusal(txn, row, refusal, origin, now).await?;
                return Ok(Tried::Refused(refusal));
            }
            for (quota, row) in quotas.iter().zip(windows) {
                count(txn, row, quota.is_given_back, now).await?;
            }
            Ok::<_, DbErr>(Tried::Admitted(now))
        })
    })
    .await
}

/// Until a window that was full has room, or is full of failures, or the time is up.
async fn wait_for_room(db: &Db, quotas: &[Quota], deadline: Instant) -> Result<(), DbErr> {
    let keys: Vec<_> = quotas.iter().filter(|it| it.is_given_back).collect();
    let (mut interval, longest) = POLL_INTERVALS;
    while Instant::now() < deadline {
        tokio::time::sleep(interval).await;
        interval = longest.min(interval * 2);
        let mut must_wait = false;
        for quota in &keys {
            let window = attempt::Entity::find_by_id(quota.key.0.clone());
            let Some(row) = db.read(|db| async move { window.one(&db).await }).await? else {
                continue;
            };
            let now = db.clock().now();
            let is_full = time_until_room(&row.hits, quota.attempts, now).is_some();
            must_wait |= is_full && has_any_under_way(&row, now);
        }
        if !must_wait {
            break;
        }
    }
    Ok(())
}

/// Gives an attempt back to the windows of its address, as part of the transaction of its success.
///
/// # Errors
/// If the database refuses.
pub async fn give_back(
    txn: &impl ConnectionTrait,
    counted: &Counted,
    now: Timestamp,
) -> Result<(), DbErr> {
    settle(txn, counted, true, now).await
}

/// Keeps an attempt counted, as part of the transaction that records its failure.
///
/// # Errors
/// If the database refuses.
pub async fn keep(
    txn: &impl ConnectionTrait,
    counted: &Counted,
    now: Timestamp,
) -> Result<(), DbErr> {
    settle(txn, counted, false, now).await
}

/// Gives an attempt back that got no verdict. If that fails, it stays counted.
pub async fn give_back_unjudged(db: &Db, counted: Counted) {
    let returned = db.write(counted, |txn, now, counted| Box::pin(give_back(txn, counted, now)));
    if let Err(error) = returned.await {
        tracing::debug!(%error, "an attempt without a verdict stays counted");
    }
}

async fn settle(
    txn: &impl ConnectionTrait,
    counted: &Counted,
    is_given_back: bool,
    now: Timestamp,
) -> Result<(), DbErr> {
    for AttemptKey(key) in &counted.windows {
        let window = attempt::Entity::find_by_id(key.clone()).lock_exclusive();
        let Some(mut row) = window.one(txn).await? else { continue };
        let mut under_way = under_way(&row, now);
        remove_one(&mut under_way, counted.at);
        if is_given_back {
            remove_one(&mut row.hits.0, counted.at);
        }
        let changed = attempt::ActiveModel {
            key: Unchanged(row.key),
            hits: Set(row.hits),
            under_way: Set((!under_way.is_empty()).then_some(Hits(under_way))),
            ..Default::default()
        };
        attempt::Entity::update(changed).exec(txn).await?;
    }
    Ok(())
}

/// One of possibly several with the same time: they are worth the same.
fn remove_one(hits: &mut Vec<i64>, at: Timestamp) {
    if let Some(place) = hits.iter().position(|hit| *hit == at.as_micros()) {
        hits.remove(place);
    }
}

/// The attempts of a window whose verdict may still come: those of an instance that has crashed are counted
/// as failures after a while.
fn under_way(row: &attempt::Model, now: Timestamp) -> Vec<i64> {
    let hits = row.under_way.iter().flat_map(|hits| &hits.0);
    hits.copied().filter(|hit| Timestamp::from_micros(*hit).plus(LONGEST_ATTEMPT) > now).collect()
}

fn has_any_under_way(row: &attempt::Model, now: Timestamp) -> bool {
    !under_way(row, now).is_empty()
}

/// Empties the window of an account whose password has been reset, as part of that transaction.
///
/// # Errors
/// If the database refuses.
pub async fn forget(txn: &impl ConnectionTrait, window: &AttemptKey) -> Result<(), DbErr> {
    attempt::Entity::delete_by_id(window.0.clone()).exec(txn).await.map(drop)
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
/// One statement: between making and reading, a reset could [`forget`] the window.
async fn lock(
    txn: &impl ConnectionTrait,
    key: &AttemptKey,
    now: Timestamp,
) -> Result<attempt::Model, DbErr> {
    let empty = attempt::ActiveModel {
        key: Set(key.0.clone()),
        hits: Set(Hits::default()),
        under_way: Set(None),
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
    is_given_back: bool,
    now: Timestamp,
) -> Result<(), DbErr> {
    let mut under_way = under_way(&row, now);
    let mut hits: Vec<i64> = recent(&row.hits, now).iter().map(|hit| hit.as_micros()).collect();
    hits.push(now.as_micros());
    if is_given_back {
        under_way.push(now.as_micros());
    }
    let row = attempt::ActiveModel {
        key: Set(row.key),
        hits: Set(Hits(hits)),
        under_way: Set((!under_way.is_empty()).then_some(Hits(under_way))),
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
