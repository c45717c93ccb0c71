//! Exact attempt limits shared by all instances: a maximum number of attempts in any 60 seconds.
//!
//! The window slides: for each key, a row stores the times of recent attempts. An attempt is
//! admitted if the row has fewer attempts within the last minute than the quota allows. It is
//! counted when it starts. Refused attempts are not counted: otherwise a client that is refused
//! could prolong the refusal, for itself and for other clients behind the same IP address. Keys are
//! HMACs, so the table contains no IP or email address.
//!
//! Many people may share an IP address. So a successful login is refunded to the window of its
//! client address, but not to the window of the account. An attempt that ends without a verdict is
//! refunded in the same way. If the window of a client address is full, but some of its attempts
//! are still under way, a new attempt waits for their verdicts. Failures are counted exactly across
//! all instances.

mod codes;
mod mails;
mod quota;
mod verdict;
mod window;

use std::time::{Duration, Instant};

use sea_orm::{DbErr, EntityTrait};
use tracing::field;

use crate::database::Db;
use crate::domain::attempt_limit::window::{
    count_attempt, has_any_under_way, lock_all, record_refusal, time_until_room,
};
use crate::domain::audit::Origin;
use crate::entity::attempt;
use crate::timestamp::Timestamp;

pub use codes::CodeAttempts;
pub use mails::{MailAdmission, MailLimits, admit_mail};
pub use quota::{
    AttemptKey, BACKSTOP_FACTOR, BACKSTOP_PREFIX, LimitedAction, Quota, Refusal, whole_seconds,
};
pub use verdict::{Admitted, Counted};
pub use window::{WINDOW, forget, limited_until, purge};

/// How long an attempt waits for the verdicts of other attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// First and longest poll interval. The interval doubles, because very many attempts may be
/// waiting.
const POLL_INTERVALS: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_millis(800));

/// `Retry-After` if other attempts still have no verdict.
const SHORT_RETRY: Duration = Duration::from_secs(1);

/// Why an attempt is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The limit is exceeded.
    #[error("too many attempts")]
    Refused(Refusal),
    /// The limit could not be checked, so the attempt is refused.
    #[error("the attempt could not be counted")]
    Database(#[from] DbErr),
}

/// Admits and counts an attempt if no quota is exhausted; otherwise counts nothing. If the attempt
/// is refundable, and would be refused because of other refundable attempts, it waits up to five
/// seconds for their verdicts.
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
    // All transactions lock rows in the same order, so that no two attempts deadlock.
    quotas.sort_by(|a, b| a.key.cmp(&b.key));
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        let is_last = Instant::now() >= deadline;
        match try_to_admit(db, &quotas, origin, is_last).await? {
            Admission::Admitted(at) => {
                let account = quotas.iter().find_map(Quota::account_key).cloned();
                let refundable = quotas.into_iter().filter(|quota| quota.is_refundable);
                let windows = refundable.map(|quota| quota.key).collect();
                return Ok(Admitted::new(Counted { windows, account, at }));
            }
            Admission::Refused(refusal) => {
                let address = origin.address.map(field::display);
                let limit = refusal.quota_name;
                tracing::info!(
                    limit,
                    client.address = address,
                    "attempt refused: limit per {limit}"
                );
                return Err(AttemptError::Refused(refusal));
            }
            Admission::Full => wait_for_room(db, &quotas, deadline).await?,
        }
    }
}

/// The result of one call of [`try_to_admit`].
enum Admission {
    Admitted(Timestamp),
    Refused(Refusal),
    /// A window is full, but may have room when attempts under way have got their verdicts.
    Full,
}

async fn try_to_admit(
    db: &Db,
    quotas: &[Quota],
    origin: &Origin,
    is_last: bool,
) -> Result<Admission, DbErr> {
    let input = (quotas.to_vec(), origin.clone());
    db.write(input, move |txn, now, (quotas, origin)| {
        Box::pin(async move {
            let keys: Vec<_> = quotas.iter().map(|quota| &quota.key).collect();
            let windows = lock_all(txn, &keys, now).await?;
            let windows: Vec<_> = quotas.iter().zip(windows).collect();
            let refused = windows.iter().find_map(|(quota, row)| {
                let retry_after = time_until_room(&row.hits, quota.attempts, now)?;
                Some((*quota, row, retry_after))
            });
            if let Some((quota, row, retry_after)) = refused {
                let may_have_room = quota.is_refundable && has_any_under_way(row, now);
                let refusal = match (may_have_room, is_last) {
                    (true, false) => return Ok(Admission::Full),
                    (true, true) => quota.refusal(SHORT_RETRY),
                    (false, _) => quota.refusal(retry_after),
                };
                record_refusal(txn, row, refusal, origin, now).await?;
                return Ok(Admission::Refused(refusal));
            }
            count_attempt(txn, windows, now).await?;
            Ok::<_, DbErr>(Admission::Admitted(now))
        })
    })
    .await
}

/// Waits until a full window has room, or contains only failures, or the deadline has passed.
async fn wait_for_room(db: &Db, quotas: &[Quota], deadline: Instant) -> Result<(), DbErr> {
    let refundable: Vec<_> = quotas.iter().filter(|it| it.is_refundable).collect();
    let (mut interval, longest) = POLL_INTERVALS;
    while Instant::now() < deadline {
        tokio::time::sleep(interval).await;
        interval = longest.min(interval * 2);
        let mut must_wait = false;
        for quota in &refundable {
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
