//! The clock by which rows are deleted for good.
//!
//! A clock that is wrong for a moment must not delete what others rely on: a mark that says that a
//! session has ended, a key whose tokens are alive. So the retention time does not follow the wall
//! clock. It advances by the monotonic clock of instances that serve, and by [`RESTART`] at most when
//! an instance starts after [`UPTIME`] of that; and it is never ahead of the wall clock. It is stored
//! in `database_state`, for all instances and the next start.
//!
//! Time in which nothing serves is thus made up for at later starts. Until then rows are deleted as
//! much later.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use crate::database::db::Db;
use crate::database::outage::statement;
use crate::database::retention_time::Anchor;
use crate::timestamp::Timestamp;

/// What a start makes up for, at most, of the time in which nothing served.
const RESTART: Duration = Duration::from_hours(24);

/// How far the retention time must have advanced since the last start that made up for anything.
const UPTIME: Duration = Duration::from_hours(1);

impl Db {
    /// The time that says what is old enough to be deleted for good: at most the present, and not ahead
    /// by more than what was served since. Before [`Db::begin_serving`] nothing is old enough.
    #[must_use]
    pub fn retention_now(&self) -> Timestamp {
        let Some(anchor) = *self.retention.anchor() else { return Timestamp::default() };
        let since = self.clock.uptime().saturating_sub(anchor.uptime);
        anchor.at.plus(since).min(self.clock.now())
    }

    /// Writes the retention time down, and takes over what another instance has written. To be called
    /// now and then: what was served since the last call is lost at a crash.
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

    /// Begins to advance the retention time.
    pub(super) async fn begin_retention(&self) -> Result<(), DbErr> {
        let uptime = self.clock.uptime();
        let at = self.write_at_leisure((), |txn, now, ()| Box::pin(start(txn, now))).await?;
        *self.retention.anchor() = Some(Anchor { at, uptime });
        Ok(())
    }

    /// The retention time that was written last. None if no instance of this version has served.
    ///
    /// # Errors
    /// If the database refuses, or its schema is of a version before.
    pub async fn stored_retention(&self) -> Result<Option<Timestamp>, DbErr> {
        let row = self
            .read(|db| async move {
                let sql = "SELECT retention_at FROM database_state";
                db.query_one_raw(statement(&db, sql, [])).await
            })
            .await?;
        row.map_or(Ok(None), |row| row.try_get_by_index(0))
    }
}

/// Makes up for time in which nothing served, if that is due.
async fn start(txn: &DatabaseTransaction, now: Timestamp) -> Result<Timestamp, DbErr> {
    // Holds the row: of instances that start at once, one makes up for the time.
    let sql = "UPDATE database_state SET retention_at = COALESCE(retention_at, $1), \
               retention_base = COALESCE(retention_base, $1) RETURNING retention_at, retention_base";
    let Some(row) = txn.query_one_raw(statement(txn, sql, [now.into()])).await? else {
        return Ok(now);
    };
    let (at, base): (Timestamp, Timestamp) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    if at.since(base) < UPTIME {
        return Ok(at);
    }
    let at = after_restart(at, now);
    let sql = "UPDATE database_state SET retention_at = $1, retention_base = $1";
    txn.execute_raw(statement(txn, sql, [at.into()])).await?;
    Ok(at)
}

/// The retention time after a restart that makes up for what it may.
fn after_restart(at: Timestamp, now: Timestamp) -> Timestamp {
    at.max(now.min(at.plus(RESTART)))
}

async fn advance(txn: &DatabaseTransaction, reached: Timestamp) -> Result<Timestamp, DbErr> {
    let sql = "UPDATE database_state SET retention_at = \
               CASE WHEN retention_at > $1 THEN retention_at ELSE $1 END RETURNING retention_at";
    let row = txn.query_one_raw(statement(txn, sql, [reached.into()])).await?;
    row.map_or(Ok(reached), |row| row.try_get_by_index(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * 3_600_000_000)
    }

    #[test]
    fn a_restart_makes_up_for_a_day_at_most() {
        assert_eq!(after_restart(at(100), at(110)), at(110));
        assert_eq!(after_restart(at(100), at(124)), at(124));
        assert_eq!(after_restart(at(100), at(90_000)), at(124));
        assert_eq!(after_restart(at(100), at(1)), at(100), "never back");
    }
}
