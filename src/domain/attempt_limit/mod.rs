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

mod quota;
mod verdict;
mod window;

use std::time::{Duration, Instant};

use sea_orm::{DbErr, EntityTrait};

use crate::database::Db;
use crate::domain::attempt_limit::window::{
    count, has_any_under_way, lock, record_refusal, time_until_room,
};
use crate::domain::audit::Origin;
use crate::entity::attempt;
use crate::timestamp::Timestamp;

pub use quota::{
    AttemptKey, BACKSTOP_FACTOR, BACKSTOP_PREFIX, LimitedAction, Quota, Refusal, whole_seconds,
};
pub use verdict::{Admitted, Counted, give_back, give_back_unjudged, keep};
pub use window::{WINDOW, forget, limited_until, purge};

/// How long an attempt waits for the verdicts of others.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How soon it looks again: first, and at most. The time doubles, since there may be very many that wait.
const POLL_INTERVALS: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_millis(800));

/// When to come again if others still have no verdict.
const SHORT: Duration = Duration::from_secs(1);

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
                let account = quotas.iter().find_map(Quota::account_key).cloned();
                let returned = quotas.into_iter().filter(|quota| quota.is_given_back);
                let windows = returned.map(|quota| quota.key).collect();
                return Ok(Admitted::new(Counted { windows, account, at }));
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
