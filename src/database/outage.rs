//! Outages: periods in which a response may have been lost, or a client could not retry.
//!
//! A hung commit, a suspended process and an unavailable database are each recorded as a row. When
//! a refresh token is reused, all instances take every outage into account, even after a restart.
//!
//! Overload also counts as an outage (`is_crowd`). A client cannot retry in time if its request
//! timed out, or got a 503, while the commit was under way.
//!
//! An instance whose heartbeat is overdue counts as a continuing outage. This outage ends when the
//! instance returns and records how long it was away, when it has stopped cleanly, or after
//! [`LOST_AFTER`].

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};
use uuid::Uuid;

use crate::clock::Moment;
use crate::database::sql;
use crate::timestamp::Timestamp;

/// Interval of an instance's heartbeat on PostgreSQL.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A commit, heartbeat or suspension of the process that takes longer than this is an outage. The
/// value is well below the default retry window (10 s), and above the delay of a heartbeat on a
/// busy machine.
pub(super) const NOTICEABLE: Duration = Duration::from_millis(2_500);

/// A transaction that waits this long before it can begin indicates overload, under which clients
/// time out.
pub(super) const OVERLOADED: Duration = Duration::from_secs(1);

/// An outage counts as beginning this much earlier, because a commit has the time that was read
/// after its BEGIN. The last rotation of an absent instance counts as this much later, because the
/// instance may have sent a response shortly after its last heartbeat.
const MARGIN: Duration = Duration::from_secs(1);

/// An instance that has sent no heartbeat for this long is not expected to return.
const LOST_AFTER: Duration = Duration::from_mins(10);

/// Overload extends the retry window of a commit until this long after the commit at most. Anyone
/// can cause overload, so it must not prevent the detection of token theft indefinitely.
const MAX_OVERLOAD: Duration = Duration::from_mins(10);

/// How long outages are stored. This is longer than any retry window.
const OUTAGE_RETENTION: Duration = Duration::from_hours(24);

/// An outage. The response to a rotation from `began` to `last_rotation` may have been lost, and
/// its client could not retry before `ended`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outage {
    pub(super) began: Timestamp,
    pub(super) last_rotation: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) is_overload: bool,
}

/// Whether the response to a commit at `committed_at` may have been lost in an outage that ended
/// less than the retry window (`window`) ago. The client may then retry. A retry window of zero
/// allows no retry. `wait` is the database timeout of a request.
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
        // The clock has been set back since the commit. If there was a crash in between, the time
        // of its outage is unknown.
        return Ok(true);
    }
    let outages = outages_since(txn, committed_at, wait, now).await?;
    Ok(retry_until(&outages, committed_at, window).is_some_and(|until| now < until))
}

/// Whether a request that was sent before the end of an outage may still arrive. Requests whose
/// clients have timed out remain in the buffers of a suspended process or of a database that hung.
///
/// Such a request may present an old token: the same client may have sent a later request with a
/// newer token, which caused the rotation at `rotated_at`. This is assumed only if the rotation is
/// recent. `window` is the retry window, `wait` the database timeout of a request.
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
    if window.is_zero() || now.since(rotated_at) > MAX_OVERLOAD {
        return Ok(false);
    }
    let outages = outages_since(txn, now.minus(window), wait, now).await?;
    Ok(outages.iter().any(|outage| outage.began <= now && now < outage.ended.plus(window)))
}

/// The error for a request for which [`may_be_delayed_request`] returns true. It makes the client
/// retry.
#[must_use]
pub fn retry_later() -> DbErr {
    DbErr::Custom("after an outage, a reused token may be a retry of a request".to_owned())
}

/// The end of the retry window of a commit at `committed_at`. `None` if the commit was in no
/// outage. A further outage that begins before the end of the retry window extends it. Overload
/// extends it to [`MAX_OVERLOAD`] after the commit at most.
fn retry_until(outages: &[Outage], committed_at: Timestamp, window: Duration) -> Option<Timestamp> {
    let covers_commit =
        |outage: &&Outage| outage.began <= committed_at && committed_at <= outage.last_rotation;
    let limit = committed_at.plus(MAX_OVERLOAD);
    let end_of = |outage: &Outage| {
        let ended = if outage.is_overload { outage.ended.min(limit) } else { outage.ended };
        ended.plus(window)
    };
    let mut until = outages.iter().filter(covers_commit).map(end_of).max()?;
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
    let sql = "SELECT began_at, ended_at, is_crowd FROM outage \
               WHERE (ended_at IS NULL OR ended_at >= $1) AND NOT (is_crowd AND began_at > $2)";
    let values = [committed_at.into(), committed_at.plus(MAX_OVERLOAD).into()];
    let rows = sql::all(txn, sql, values).await?;
    let mut outages: Vec<_> = rows.into_iter().map(|row| recorded(row, now)).collect();
    // An outage that ends in the future was recorded by a clock that was ahead. It is ignored,
    // because it would not expire.
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
        let last_heartbeat = now.minus(Duration::from_micros(away.unsigned_abs()));
        // An instance refuses writes when its heartbeat is overdue, so it has rotated nothing since
        // then. Overload that it had detected before may not have been recorded yet.
        let last_rotation = last_heartbeat.plus(HEARTBEAT_INTERVAL + wait + MARGIN);
        let began = last_heartbeat.minus(HEARTBEAT_INTERVAL + wait + MARGIN);
        outages.push(Outage { began, last_rotation, ended: now, is_overload: false });
    }
    Ok(outages)
}

fn recorded(
    (began, ended, is_overload): (Timestamp, Option<Timestamp>, bool),
    now: Timestamp,
) -> Outage {
    // The instance may have crashed before it recorded the end.
    let ended = ended.unwrap_or_else(|| now.min(began.plus(LOST_AFTER)));
    Outage { began, last_rotation: ended, ended, is_overload }
}

/// Overload of one instance: an outage that lasts as long as transactions wait for
/// [`OVERLOADED`] before they can begin.
#[derive(Debug, Default)]
pub(super) struct Overload {
    recorded_until: Option<Timestamp>,
}

impl Overload {
    /// Must be called when a transaction has begun after `waited`, or has timed out. Returns the
    /// outage to record, at most once a second. This outage ends a second from now.
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
    /// The outage continues.
    NotYet,
    /// The outage ended at the time of the transaction that records it.
    Now,
    At(Timestamp),
    /// The outage is overload, which may continue until this time.
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

/// Records overload. Extends the row of the previous overload if the two touch.
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

/// Records the instance's heartbeat with the time of the database's clock, which is the same for
/// all instances. Also records an outage if the `last` heartbeat is too long ago. Advances the
/// commit counter and returns it.
pub(super) async fn send_heartbeat(
    txn: &impl ConnectionTrait,
    instance: Uuid,
    last: Moment,
    now: Timestamp,
) -> Result<i64, DbErr> {
    let away = last.elapsed();
    if away > NOTICEABLE {
        record(txn, instance, now.minus(away), Ended::Now, now).await?;
        delete_old(txn, now).await?;
    }
    let sql = "INSERT INTO instance (id, beat_at) \
               VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) \
               ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at";
    sql::execute(txn, sql, [instance.into()]).await?;
    // This statement is the last one, because other instances wait while its row is locked.
    let sql = "UPDATE database_state SET commits = commits + 1 RETURNING commits";
    Ok(sql::first(txn, sql, []).await?.unwrap_or(0))
}

/// Deletes the row of an instance that has stopped cleanly, and so has lost no response.
pub(super) async fn leave(txn: &impl ConnectionTrait, instance: Uuid) -> Result<(), DbErr> {
    let sql = "DELETE FROM instance WHERE id = $1";
    sql::execute(txn, sql, [instance.into()]).await.map(drop)
}

/// Deletes the rows of instances and outages that are too old to affect any token. There are few of
/// them, because instances start rarely and outages are rare.
pub(super) async fn delete_old(txn: &impl ConnectionTrait, now: Timestamp) -> Result<(), DbErr> {
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
        Outage { began: at(began), last_rotation: at(ended), ended: at(ended), is_overload: false }
    }

    #[test]
    fn outage_extends_the_retry_window_of_rotations_during_it() {
        let outages = [outage(99, 160)];

        assert_eq!(retry_until(&outages, at(100), WINDOW), Some(at(170)));
        assert_eq!(retry_until(&outages, at(160), WINDOW), Some(at(170)));
        assert_eq!(retry_until(&outages, at(98), WINDOW), None, "before the outage");
        assert_eq!(retry_until(&outages, at(161), WINDOW), None, "after the outage");
    }

    #[test]
    fn further_outage_extends_the_retry_window_again() {
        let outages = [outage(165, 200), outage(99, 160), outage(211, 300)];

        assert_eq!(retry_until(&outages, at(100), WINDOW), Some(at(210)));
    }

    #[test]
    fn overload_extends_the_retry_window_by_ten_minutes_at_most() {
        let overload = |began, ended| Outage { is_overload: true, ..outage(began, ended) };
        let chain: Vec<_> = (0..100).map(|n| overload(99 + 9 * n, 100 + 9 * n)).collect();

        assert_eq!(retry_until(&chain[..3], at(100), WINDOW), Some(at(128)));
        assert_eq!(retry_until(&chain, at(100), WINDOW), Some(at(710)));
        let hang = outage(705, 2_000);
        assert_eq!(retry_until(&[&chain[..], &[hang]].concat(), at(100), WINDOW), Some(at(2_010)));
    }

    #[test]
    fn continuing_overload_is_recorded_once_a_second() {
        let (mut overload, long_wait) = (Overload::default(), Duration::from_secs(4));

        assert_eq!(overload.notice(Duration::from_millis(999), at(100)), None, "short wait");
        assert_eq!(overload.notice(long_wait, at(100)), Some((at(96), Ended::Overload(at(101)))));
        assert_eq!(overload.notice(long_wait, at(100)), None, "already recorded");
        assert_eq!(
            overload.notice(long_wait, at(101)),
            Some((at(97), Ended::Overload(at(102)))),
            "overload continues"
        );
        assert_eq!(
            overload.notice(long_wait, at(50)),
            Some((at(46), Ended::Overload(at(51)))),
            "the clock was set back"
        );
    }

    #[test]
    fn rotation_after_the_last_rotation_of_an_absent_instance_gets_no_retry() {
        let away =
            Outage { began: at(99), last_rotation: at(108), ended: at(400), is_overload: false };

        assert_eq!(retry_until(&[away], at(107), WINDOW), Some(at(410)));
        assert_eq!(retry_until(&[away], at(109), WINDOW), None);
    }
}
