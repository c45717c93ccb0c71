//! The row of a window: the times of recent attempts, and which of them have no verdict yet.

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, Set};

use crate::database::{Db, Purged, delete_expired};
use crate::domain::attempt_limit::quota::{ACCOUNT, AttemptKey, Quota, Refusal};
use crate::domain::audit::{Event, Kind, Origin};
use crate::entity::attempt::{self, Hits};
use crate::timestamp::Timestamp;

/// The length of the windows of attempts. The windows of codes and mails are longer.
pub const WINDOW: Duration = Duration::from_mins(1);

/// How long other attempts may wait for the verdict of an attempt. After this time, the instance of
/// the attempt has probably crashed, or the client has disconnected. An attempt that succeeds later
/// is still refunded.
const MAX_UNDER_WAY: Duration = Duration::from_secs(10);

/// Reads the window of a key, and locks it until the transaction ends. Creates a missing window.
pub(super) async fn lock(
    txn: &impl ConnectionTrait,
    key: &AttemptKey,
    now: Timestamp,
) -> Result<attempt::Model, DbErr> {
    lock_all(txn, &[key], now).await?.pop().ok_or_else(missing)
}

/// Reads the windows of these keys, and locks them in this order until the transaction ends.
/// Creates missing windows. Returns the windows in the order of the keys.
///
/// This is a single statement. If there were two, a password reset could [`forget`] a window
/// between its creation and the read.
pub(super) async fn lock_all(
    txn: &impl ConnectionTrait,
    keys: &[&AttemptKey],
    now: Timestamp,
) -> Result<Vec<attempt::Model>, DbErr> {
    let empty = keys.iter().map(|key| attempt::ActiveModel {
        key: Set(key.0.clone()),
        hits: Set(Hits::default()),
        under_way: Set(None),
        refused_at: Set(None),
        expires_at: Set(now.plus(WINDOW)),
    });
    // Does not change an existing window, but locks it as an update does.
    let lock =
        OnConflict::column(attempt::Column::Key).update_column(attempt::Column::Key).to_owned();
    let insert = attempt::Entity::insert_many(empty).on_conflict(lock);
    let windows = insert.exec_with_returning(txn).await?;
    let of_key = |key: &&AttemptKey| windows.iter().find(|window| window.key == key.0).cloned();
    keys.iter().map(of_key).collect::<Option<_>>().ok_or_else(missing)
}

fn missing() -> DbErr {
    DbErr::RecordNotFound("an attempt window".to_owned())
}

/// The time until the window has room for another attempt. `None` if it has room now.
pub(super) fn time_until_room(hits: &Hits, quota: u32, now: Timestamp) -> Option<Duration> {
    let recent = recent(hits, now);
    let quota = usize::try_from(quota).unwrap_or(usize::MAX);
    // There is room as soon as fewer than `quota` hits are within the window.
    let last_to_leave = recent.len().checked_sub(quota).and_then(|index| recent.get(index))?;
    Some(last_to_leave.plus(WINDOW).since(now))
}

/// The hits within the window before `now`. A hit exactly one window ago is outside.
fn recent(hits: &Hits, now: Timestamp) -> Vec<Timestamp> {
    recent_in(hits, WINDOW, now)
}

/// The hits within `window` before `now`.
pub(super) fn recent_in(hits: &Hits, window: Duration, now: Timestamp) -> Vec<Timestamp> {
    // A hit far in the future was recorded before the clock was set back. It is ignored.
    let is_recent = |hit: &Timestamp| hit.plus(window) > now && *hit < now.plus(window);
    hits.0.iter().copied().filter(is_recent).collect()
}

/// Adds an attempt to all of its windows, which [`lock_all`] has locked, in a single statement.
pub(super) async fn count_attempt(
    txn: &impl ConnectionTrait,
    windows: Vec<(&Quota, attempt::Model)>,
    now: Timestamp,
) -> Result<(), DbErr> {
    use attempt::Column::{ExpiresAt, Hits as HitsColumn, Key, UnderWay};

    let counted = windows.into_iter().map(|(quota, row)| {
        let mut under_way = under_way(&row, now);
        let mut hits = recent(&row.hits, now);
        hits.push(now);
        if quota.is_refundable {
            under_way.push(now);
        }
        attempt::ActiveModel {
            key: Set(row.key),
            hits: Set(Hits(hits)),
            under_way: Set((!under_way.is_empty()).then_some(Hits(under_way))),
            refused_at: Set(row.refused_at),
            expires_at: Set(now.plus(WINDOW)),
        }
    });
    let update =
        OnConflict::column(Key).update_columns([HitsColumn, UnderWay, ExpiresAt]).to_owned();
    let upsert = attempt::Entity::insert_many(counted).on_conflict(update);
    upsert.exec_without_returning(txn).await.map(drop)
}

/// Records a refusal at most once per window, so that a flood of attempts does not cause a flood of
/// events.
pub(super) async fn record_refusal(
    txn: &impl ConnectionTrait,
    row: &attempt::Model,
    refusal: Refusal,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    if row.refused_at.is_some_and(|at| at.plus(WINDOW) > now) {
        return Ok(());
    }
    let mut updated = attempt::ActiveModel::from(row.clone());
    updated.refused_at = Set(Some(now));
    updated.update(txn).await?;
    let account = (refusal.quota_name == ACCOUNT).then(|| row.key.clone());
    let event = Event::new(Kind::RateLimited).reason(refusal.quota_name);
    event.email_digest(account).record(txn, origin, now).await
}

/// Removes one hit with this time. Hits with the same time are interchangeable.
pub(super) fn remove_one(hits: &mut Vec<Timestamp>, at: Timestamp) {
    if let Some(index) = hits.iter().position(|hit| *hit == at) {
        hits.remove(index);
    }
}

/// The times of the attempts of a window that may still get a verdict. Attempts of a crashed
/// instance count as failures after [`MAX_UNDER_WAY`].
pub(super) fn under_way(row: &attempt::Model, now: Timestamp) -> Vec<Timestamp> {
    let hits = row.under_way.iter().flat_map(|hits| &hits.0);
    hits.copied().filter(|hit| hit.plus(MAX_UNDER_WAY) > now).collect()
}

pub(super) fn has_any_under_way(row: &attempt::Model, now: Timestamp) -> bool {
    !under_way(row, now).is_empty()
}

/// Deletes the window of an account. Must run in the transaction that resets the password.
///
/// # Errors
/// If the database refuses.
pub async fn forget(txn: &impl ConnectionTrait, window: &AttemptKey) -> Result<(), DbErr> {
    attempt::Entity::delete_by_id(window.0.clone()).exec(txn).await.map(drop)
}

/// The time until which attempts at an account are refused. `None` if they are admitted.
///
/// # Errors
/// If the database refuses.
pub async fn limited_until(
    db: &Db,
    account: &AttemptKey,
    attempts: u32,
) -> Result<Option<Timestamp>, DbErr> {
    let window = attempt::Entity::find_by_id(account.0.clone());
    let row = db.read(|db| async move { window.one(&db).await }).await?;
    let now = db.clock().now();
    let wait = row.and_then(|row| time_until_room(&row.hits, attempts, now));
    Ok(wait.map(|wait| now.plus(wait)))
}

/// Deletes windows that can no longer refuse an attempt.
///
/// # Errors
/// If the database refuses.
pub async fn purge(db: &Db) -> Result<Purged, DbErr> {
    delete_expired::<attempt::Entity>(db, attempt::Column::ExpiresAt, db.retention_now()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// RL-01: the window slides.
    #[test]
    fn window_admits_again_a_minute_after_its_oldest_attempt() {
        let hits = Hits([0, 10, 20, 30, 40].map(at).to_vec());

        assert_eq!(time_until_room(&hits, 5, at(41)), Some(Duration::from_secs(19)));
        assert_eq!(time_until_room(&hits, 5, at(60)), None);
        assert_eq!(time_until_room(&hits, 6, at(41)), None);
        assert_eq!(time_until_room(&hits, 4, at(60)), Some(Duration::from_secs(10)));
        assert_eq!(time_until_room(&hits, 1, at(60)), Some(Duration::from_secs(40)));
    }
}
