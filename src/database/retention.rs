//! The retention time, by which rows are deleted permanently.
//!
//! A temporarily wrong clock must not cause the deletion of rows that are still needed, such as the
//! mark that a session has ended, or a key whose tokens are still valid. So the retention time does
//! not follow the wall clock.
//!
//! It advances with the monotonic clock of serving instances, and is never ahead of the wall clock.
//! It stands still during downtime, while no instance serves. A start catches up this downtime: it
//! advances the retention time towards the wall clock, by at most [`MAX_CATCH_UP`]. A start does so
//! only if the retention time has advanced by [`MIN_PROGRESS`] since the last start that did. Until
//! downtime is caught up, rows are deleted later than otherwise.
//!
//! The retention time is stored in `database_state`, for all instances and for the next start.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};

use crate::database::db::Db;
use crate::database::retention_time::Anchor;
use crate::database::sql;
use crate::timestamp::Timestamp;

/// How much downtime a start catches up at most.
const MAX_CATCH_UP: Duration = Duration::from_hours(24);

/// How far the retention time must have advanced since the last start that caught up downtime.
const MIN_PROGRESS: Duration = Duration::from_hours(1);

impl Db {
    /// The retention time, which decides whether a row is old enough to be deleted permanently. It
    /// is the stored time plus the time served since, and at most the current time. Before
    /// [`Db::begin_serving`] no row is old enough.
    #[must_use]
    pub fn retention_now(&self) -> Timestamp {
        let Some(anchor) = *self.retention.anchor() else { return Timestamp::default() };
        let since = self.clock.uptime().saturating_sub(anchor.uptime);
        anchor.at.plus(since).min(self.clock.now())
    }

    /// Stores the retention time, or adopts a later one that another instance has stored. Must be
    /// called periodically, because a crash loses the progress since the last call.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn keep_retention(&self) -> Result<(), DbErr> {
        if self.retention.anchor().is_none() {
            return Ok(());
        }
        let (reached, uptime) = (self.retention_now(), self.clock.uptime());
        let at = self.write((), move |txn, _, ()| Box::pin(advance(txn, reached))).await?;
        *self.retention.anchor() = Some(Anchor { at, uptime });
        Ok(())
    }

    /// Starts to advance the retention time.
    pub(super) async fn begin_retention(&self) -> Result<(), DbErr> {
        let uptime = self.clock.uptime();
        let db = self.without_timeout();
        let at = db.write((), |txn, now, ()| Box::pin(start(txn, now))).await?;
        *self.retention.anchor() = Some(Anchor { at, uptime });
        Ok(())
    }

    /// The stored retention time. `None` if no instance of this version has served.
    ///
    /// # Errors
    /// If the database refuses, or its schema is older.
    pub async fn stored_retention(&self) -> Result<Option<Timestamp>, DbErr> {
        let sql = "SELECT retention_at FROM database_state";
        let stored = self.read(|db| async move { sql::first(&db, sql, []).await });
        Ok(stored.await?.flatten())
    }
}

/// Catches up downtime if the retention time has advanced far enough since it last did.
async fn start(txn: &DatabaseTransaction, now: Timestamp) -> Result<Timestamp, DbErr> {
    // This locks the row, so that only one of several instances that start at the same time catches
    // up.
    let sql = "UPDATE database_state SET retention_at = COALESCE(retention_at, $1), \
               retention_base = COALESCE(retention_base, $1) RETURNING retention_at, retention_base";
    let stored: Option<(Timestamp, Timestamp)> = sql::first(txn, sql, [now.into()]).await?;
    let Some((at, base)) = stored else { return Ok(now) };
    if at.since(base) < MIN_PROGRESS {
        return Ok(at);
    }
    let at = caught_up(at, now);
    let sql = "UPDATE database_state SET retention_at = $1, retention_base = $1";
    sql::execute(txn, sql, [at.into()]).await?;
    Ok(at)
}

/// The retention time after a start that catches up downtime.
fn caught_up(at: Timestamp, now: Timestamp) -> Timestamp {
    at.max(now.min(at.plus(MAX_CATCH_UP)))
}

async fn advance(txn: &DatabaseTransaction, reached: Timestamp) -> Result<Timestamp, DbErr> {
    let sql = "UPDATE database_state SET retention_at = \
               CASE WHEN retention_at > $1 THEN retention_at ELSE $1 END RETURNING retention_at";
    Ok(sql::first(txn, sql, [reached.into()]).await?.unwrap_or(reached))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * 3_600_000_000)
    }

    #[test]
    fn start_catches_up_a_day_at_most() {
        assert_eq!(caught_up(at(100), at(110)), at(110));
        assert_eq!(caught_up(at(100), at(124)), at(124));
        assert_eq!(caught_up(at(100), at(90_000)), at(124));
        assert_eq!(caught_up(at(100), at(1)), at(100), "the retention time never goes back");
    }
}
