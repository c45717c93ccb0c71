//! Outages: periods in which a response may have been lost, or a client could not retry.
//!
//! A hung commit, a suspended process and an unavailable database each leave a row, so that all
//! instances take every outage into account when a refresh token is reused, also after a restart.
//! Overload (a crowd) counts, too: a client whose request timed out, or that was told to retry,
//! while its commit was under way could not retry in time. An instance whose heartbeat is overdue
//! counts as a continuing outage until it is back (and records how long it was away), has stopped
//! cleanly, or has been away for [`LOST_AFTER`].

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};
use uuid::Uuid;

use crate::clock::Moment;
use crate::database::sql;
use crate::timestamp::Timestamp;

/// Interval of an instance's heartbeat on PostgreSQL.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A longer commit, heartbeat or suspension of the process is an outage: well below the default
/// retry window (10 s), and above the delay of a heartbeat on a busy machine.
pub(super) const NOTICEABLE: Duration = Duration::from_millis(2_500);

/// A transaction that waits this long for its turn indicates overload, under which clients time
/// out.
pub(super) const OVERLOADED: Duration = Duration::from_secs(1);

/// A commit is dated by the time read after its BEGIN; its response is sent shortly after the
/// heartbeat.
const MARGIN: Duration = Duration::from_secs(1);

/// After this long an instance without a heartbeat is not expected to return.
const LOST_AFTER: Duration = Duration::from_mins(10);

/// How long after a commit overload may extend its retry window: overload can be caused by anyone,
/// and must not prevent the detection of token theft indefinitely.
const CROWD_LIMIT: Duration = Duration::from_mins(10);

/// How long outages are stored; no retry window is as long.
const OUTAGE_RETENTION: Duration = Duration::from_hours(24);

/// An outage as it affects a token: a rotation from `began` to `last_rotation` may have lost its
/// response, and its client could not retry before `ended`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outage {
    pub(super) began: Timestamp,
    pub(super) last_rotation: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) is_crowd: bool,
}

/// Whether the response to a commit at `committed_at` may have been lost in an outage, and its
/// client could not retry until less than `window` ago. A window of zero allows no retry.
///
/// # Errors
/// If the database refuses.
pub async fn may_have_lost_response(
    txn: &impl ConnectionTrait,
    committed_at: Timestamp,
    window: Duration,
    wait: Duration,
    now: Timestamp,
) -> Result<bool, DbErr> {
    if window.is_zero() {
        return Ok(false);
    }
    if committed_at > now.plus(NOTICEABLE) {
        // The clock was set back since, perhaps with a crash in between: the outage of that crash
        // cannot be dated.
        return Ok(true);
    }
    let outages = outages_since(txn, committed_at, wait, now).await?;
    Ok(retry_until(&outages, committed_at, window).is_some_and(|until| now < until))
}

/// Whether requests sent before the end of an outage may still arrive: requests whose clients have
/// timed out remain in the buffers of a suspended process, or of a database that hung. They may
/// present an older token than the one the same client has presented since, which cannot be long
/// ago.
///
/// # Errors
/// If the database refuses.
pub async fn may_be_delayed_request(
    txn: &impl ConnectionTrait,
    rotated_at: Timestamp,
    window: Duration,
    wait: Duration,
    now: Timestamp,
) -> Result<bool, DbErr> {
    if window.is_zero() || now.since(rotated_at) > CROWD_LIMIT {
        return Ok(false);
    }
    let outages = outages_since(txn, now.minus(window), wait, now).await?;
    Ok(outages.iter().any(|outage| outage.began <= now && now < outage.ended.plus(window)))
}

/// The error that makes the caller retry in that case.
#[must_use]
pub fn retry_later() -> DbErr {
    DbErr::Custom("after an outage, a reused token may be a retry of a request".to_owned())
}

/// The end of the retry window of a response from `committed_at`; `None` if no outage covers it. A
/// further outage that begins before this end extends it; overload extends it up to a limit.
fn retry_until(outages: &[Outage], committed_at: Timestamp, window: Duration) -> Option<Timestamp> {
    let has_lost =
        |outage: &&Outage| outage.began <= committed_at && committed_at <= outage.last_rotation;
    let limit = committed_at.plus(CROWD_LIMIT);
    let end_of = |outage: &Outage| {
        let ended = if outage.is_crowd { outage.ended.min(limit) } else { outage.ended };
        ended.plus(window)
    };
    let mut until = outages.iter().filter(has_lost).map(end_of).max()?;
    let mut sorted = outages.to_vec();
    sorted.sort_unstable_by_key(|outage| outage.began);
    for outage in sorted {
        if outage.began < until {
            until = until.max(end_of(&outage));
        }
    }
    Some(until)
}

async fn outages_since(
    txn: &impl ConnectionTrait,
    committed_at: Timestamp,
    wait: Duration,
    now: Timestamp,
) -> Result<Vec<Outage>, DbErr> {
    let over = "SELECT began_at, ended_at, is_crowd FROM outage \
                WHERE (ended_at IS NULL OR ended_at >= $1) AND NOT (is_crowd AND began_at > $2)";
    let values = [committed_at.into(), committed_at.plus(CROWD_LIMIT).into()];
    let rows = sql::all(txn, over, values).await?;
    let mut outages: Vec<_> = rows.into_iter().map(|row| recorded(row, now)).collect();
    // One that ends in the future was recorded by a clock that was ahead: it would not expire.
    outages.retain(|outage| outage.ended <= now.plus(NOTICEABLE));

    if txn.get_database_backend() == DbBackend::Postgres {
        outages.append(&mut instances_away(txn, wait, now).await?);
    }
    Ok(outages)
}

async fn instances_away(
    txn: &impl ConnectionTrait,
    wait: Duration,
    now: Timestamp,
) -> Result<Vec<Outage>, DbErr> {
    let sql = "SELECT away FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
               - beat_at AS away FROM instance) late WHERE away > $1 AND away < $2";
    let bounds = [NOTICEABLE, LOST_AFTER].map(|bound| Timestamp::default().plus(bound).into());
    let mut outages = Vec::new();
    for away in sql::all::<i64>(txn, sql, bounds).await? {
        let send_heartbeat = now.minus(Duration::from_micros(away.unsigned_abs()));
        // An instance refuses writes once its heartbeat is overdue, so it has rotated nothing
        // since. Overload that it had detected by then may not have been recorded yet.
        let last_rotation = send_heartbeat.plus(HEARTBEAT_INTERVAL + wait + MARGIN);
        let began = send_heartbeat.minus(HEARTBEAT_INTERVAL + wait + MARGIN);
        outages.push(Outage { began, last_rotation, ended: now, is_crowd: false });
    }
    Ok(outages)
}

fn recorded(
    (began, ended, is_crowd): (Timestamp, Option<Timestamp>, bool),
    now: Timestamp,
) -> Outage {
    // The instance that should have closed it may be gone.
    let ended = ended.unwrap_or_else(|| now.min(began.plus(LOST_AFTER)));
    Outage { began, last_rotation: ended, ended, is_crowd }
}

/// Overload at one instance: an outage that lasts as long as transactions wait long for their turn.
#[derive(Debug, Default)]
pub(super) struct Overload {
    recorded_until: Option<Timestamp>,
}

impl Overload {
    /// The outage to record because a transaction got its turn after `waited`, or timed out. At
    /// most one a second; it ends a second from now.
    pub(super) fn notice(
        &mut self,
        waited: Duration,
        now: Timestamp,
    ) -> Option<(Timestamp, Ended)> {
        let is_recorded =
            self.recorded_until.is_some_and(|until| now < until && until <= now.plus(OVERLOADED));
        if waited < OVERLOADED || is_recorded {
            return None;
        }
        let ended = now.plus(OVERLOADED);
        self.recorded_until = Some(ended);
        Some((now.minus(waited), Ended::Overload(ended)))
    }
}

/// The end of an outage to record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ended {
    /// It continues.
    NotYet,
    /// At the time of the transaction that records it.
    Now,
    At(Timestamp),
    /// It is overload, which may continue until then.
    Overload(Timestamp),
}

/// Records an outage of an instance.
pub(super) async fn record(
    txn: &impl ConnectionTrait,
    instance: Uuid,
    began: Timestamp,
    ended: Ended,
    now: Timestamp,
) -> Result<(), DbErr> {
    let ended = match ended {
        Ended::NotYet => None,
        Ended::Now => Some(now),
        Ended::At(time) => Some(time),
        Ended::Overload(time) => return record_overload(txn, instance, began, time).await,
    };
    let sql = "INSERT INTO outage (instance_id, began_at, ended_at) VALUES ($1, $2, $3) \
               ON CONFLICT (instance_id, began_at) DO UPDATE SET ended_at = COALESCE(outage.ended_at, excluded.ended_at)";
    let values = [instance.into(), began.minus(MARGIN).into(), ended.into()];
    sql::execute(txn, sql, values).await?;
    tracing::info!(
        began = began.to_rfc3339(),
        ended = ended.map(Timestamp::to_rfc3339),
        "an outage was recorded: clients may retry requests whose responses it lost"
    );
    Ok(())
}

/// Records overload, merged with the previous overload if they touch.
async fn record_overload(
    txn: &impl ConnectionTrait,
    instance: Uuid,
    began: Timestamp,
    ended: Timestamp,
) -> Result<(), DbErr> {
    let values = [instance.into(), began.minus(MARGIN).into(), ended.into()];
    let sql = "UPDATE outage SET ended_at = $3 WHERE instance_id = $1 AND is_crowd \
               AND ended_at BETWEEN $2 AND $3 AND began_at = \
               (SELECT max(began_at) FROM outage WHERE instance_id = $1 AND began_at <= $2)";
    if sql::execute(txn, sql, values.clone()).await? > 0 {
        return Ok(());
    }
    let sql = "INSERT INTO outage (instance_id, began_at, ended_at, is_crowd) \
               VALUES ($1, $2, $3, TRUE) ON CONFLICT (instance_id, began_at) DO NOTHING";
    sql::execute(txn, sql, values).await?;
    tracing::info!(
        began = began.to_rfc3339(),
        "requests wait a second for the database: clients may retry those whose responses are lost"
    );
    Ok(())
}

/// Records the instance's heartbeat, dated by the database's clock, which is the same for all; and
/// an outage, if the `last` one is too long ago. Returns the commit counter, which it advances.
pub(super) async fn send_heartbeat(
    txn: &impl ConnectionTrait,
    instance: Uuid,
    last: Moment,
    now: Timestamp,
) -> Result<i64, DbErr> {
    let away = last.elapsed();
    if away > NOTICEABLE {
        record(txn, instance, now.minus(away), Ended::Now, now).await?;
        forget_old(txn, now).await?;
    }
    let sql = "INSERT INTO instance (id, beat_at) \
               VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) \
               ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at";
    sql::execute(txn, sql, [instance.into()]).await?;
    // Last, because all instances wait for this row.
    let sql = "UPDATE database_state SET commits = commits + 1 RETURNING commits";
    Ok(sql::first(txn, sql, []).await?.unwrap_or(0))
}

/// Records that the instance has stopped cleanly: no response was lost.
pub(super) async fn leave(txn: &impl ConnectionTrait, instance: Uuid) -> Result<(), DbErr> {
    let sql = "DELETE FROM instance WHERE id = $1";
    sql::execute(txn, sql, [instance.into()]).await.map(drop)
}

/// Deletes instances and outages too old to affect any token. Their number is bounded by how often
/// instances start and outages happen.
pub(super) async fn forget_old(txn: &impl ConnectionTrait, now: Timestamp) -> Result<(), DbErr> {
    let before = Value::from(now.minus(OUTAGE_RETENTION));
    let sql = "DELETE FROM instance WHERE beat_at < $1";
    sql::execute(txn, sql, [before.clone()]).await?;
    let sql = "DELETE FROM outage WHERE began_at < $1";
    sql::execute(txn, sql, [before]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn outage(began: i64, ended: i64) -> Outage {
        Outage { began: at(began), last_rotation: at(ended), ended: at(ended), is_crowd: false }
    }

    #[test]
    fn outage_extends_the_retry_window_of_rotations_during_it() {
        let outages = [outage(99, 160)];

        assert_eq!(retry_until(&outages, at(100), WINDOW), Some(at(170)));
        assert_eq!(retry_until(&outages, at(160), WINDOW), Some(at(170)));
        assert_eq!(retry_until(&outages, at(98), WINDOW), None, "rotated before it");
        assert_eq!(retry_until(&outages, at(161), WINDOW), None, "rotated after it");
    }

    #[test]
    fn further_outage_extends_the_retry_window_again() {
        let outages = [outage(165, 200), outage(99, 160), outage(211, 300)];

        assert_eq!(retry_until(&outages, at(100), WINDOW), Some(at(210)));
    }

    #[test]
    fn overload_extends_the_retry_window_by_ten_minutes_at_most() {
        let overload = |began, ended| Outage { is_crowd: true, ..outage(began, ended) };
        let chain: Vec<_> = (0..100).map(|n| overload(99 + 9 * n, 100 + 9 * n)).collect();

        assert_eq!(retry_until(&chain[..3], at(100), WINDOW), Some(at(128)));
        assert_eq!(retry_until(&chain, at(100), WINDOW), Some(at(710)));
        let hang = outage(705, 2_000);
        assert_eq!(retry_until(&[&chain[..], &[hang]].concat(), at(100), WINDOW), Some(at(2_010)));
    }

    #[test]
    fn overload_is_recorded_as_one_outage() {
        let (mut overload, long) = (Overload::default(), Duration::from_secs(4));

        assert_eq!(overload.notice(Duration::from_millis(999), at(100)), None, "too short");
        assert_eq!(overload.notice(long, at(100)), Some((at(96), Ended::Overload(at(101)))));
        assert_eq!(overload.notice(long, at(100)), None, "it is already recorded");
        assert_eq!(
            overload.notice(long, at(101)),
            Some((at(97), Ended::Overload(at(102)))),
            "it continues"
        );
        assert_eq!(
            overload.notice(long, at(50)),
            Some((at(46), Ended::Overload(at(51)))),
            "the clock was set back"
        );
    }

    #[test]
    fn rotations_after_the_last_one_of_a_lost_instance_get_no_retry() {
        let away =
            Outage { began: at(99), last_rotation: at(108), ended: at(400), is_crowd: false };

        assert_eq!(retry_until(&[away], at(107), WINDOW), Some(at(410)));
        assert_eq!(retry_until(&[away], at(109), WINDOW), None);
    }
}
