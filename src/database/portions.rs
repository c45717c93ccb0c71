//! Changes many rows in portions of bounded size. Each portion is a separate transaction, so that
//! other writes run in between.
//!
//! A single statement over all expired rows would block all other writers on SQLite. On PostgreSQL,
//! `statement_timeout` would cancel it in each run, and the backlog would grow. In a database that
//! is served, only this file deletes an unbounded number of rows (`tests/it/architecture.rs` checks
//! this).

use std::time::{Duration, Instant};

use sea_orm::sea_query::{DeleteStatement, Expr, IntoCondition, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use crate::database::db::Db;
use crate::database::job::{Transact, Work};
use crate::timestamp::Timestamp;

/// Largest number of rows in a portion.
const MAX_ROWS: u64 = 1_000;

/// Smallest number of rows in a portion, even if the database is slow.
const MIN_ROWS: u64 = 25;

/// If the statements of a portion take longer than this, the next portion has half the size. If
/// they take less than a quarter of this time (a bulk insert: half), it has twice the size.
const LONG: Duration = Duration::from_millis(60);

/// As [`LONG`], on SQLite, where all other writers wait that long. For comparison: a refresh takes
/// some five milliseconds.
const LONG_ON_SQLITE: Duration = Duration::from_millis(12);

/// As [`LONG`], for a bulk insert.
const LONG_OF_INSERT: Duration = Duration::from_millis(60);

/// Shortest pause after a portion. The pause is at least as long as the statements of the portion
/// took, except in a bulk insert.
const PAUSE: Duration = Duration::from_millis(5);

/// As [`PAUSE`], on SQLite. Another process that finds the database locked retries every 25
/// milliseconds or less, and could miss a shorter pause several times.
const PAUSE_ON_SQLITE: Duration = Duration::from_millis(25);

/// Pause of a bulk insert into a SQLite file that no server uses. There are three such pauses
/// within the time for which another command waits for the file. After 0.3 s of waiting, SQLite
/// lets the command sleep for 100 ms between two attempts, so it could miss a shorter pause.
const RARE_PAUSE: Duration = Duration::from_millis(110);

/// How long [`delete_expired`] works on one table. After that, other tables are processed.
const TIME_PER_TABLE: Duration = Duration::from_secs(10);

/// Makes PostgreSQL use the index, so that it stops after one portion. Otherwise the planner would
/// rely on row counts from before the previous portions.
const USE_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";

/// Keeps in memory the pages that a portion of a bulk insert changes: some 10 MiB, because ids are
/// random. SQLite would otherwise write each of these pages several times.
const LARGE_CACHE: &str = "PRAGMA cache_size = -32000";

/// Number of pages in the write-ahead log after which a bulk insert writes them back to a database
/// that no server uses. A page that was changed several times is written once. While a server uses
/// the database, SQLite's default stays: otherwise the commits of the server would write them back.
const RARE_CHECKPOINTS: &str = "PRAGMA wal_autocheckpoint = 8000";
const USUAL_CHECKPOINTS: &str = "PRAGMA wal_autocheckpoint = 1000";

/// Why deleting expired rows failed. Some rows may have been deleted.
pub type PurgeError = DbErr;

/// Runs work in portions and adapts their size to the time they take.
#[derive(Clone)]
pub struct Portions {
    db: Db,
    size: u64,
    most: u64,
    long: Duration,
    pause: Duration,
    is_bulk_insert: bool,
    /// When the next portion of a bulk insert may begin.
    next_at: Option<Instant>,
    /// When the last pause of a bulk insert began.
    paused_at: Instant,
}

/// The result of [`delete_expired`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// How many rows were deleted.
    pub deleted: u64,
    /// How long the oldest remaining row has been expired, if the time limit ended the run before
    /// all expired rows were deleted.
    pub backlog: Option<Duration>,
}

impl Portions {
    /// Portions of at most `most` rows.
    #[must_use]
    pub fn of(db: &Db, most: u64) -> Self {
        let (long, pause) =
            if db.has_one_writer() { (LONG_ON_SQLITE, PAUSE_ON_SQLITE) } else { (LONG, PAUSE) };
        // The first portion is small, because the time per row is not known yet.
        let size = most.min(MIN_ROWS * 4);
        Self {
            db: db.clone(),
            size,
            most,
            long,
            pause,
            is_bulk_insert: false,
            next_at: None,
            paused_at: Instant::now(),
        }
    }

    /// Portions of at most `most` rows for a bulk insert. Because each commit has a fixed cost, they
    /// take longer than other portions: about as long as a login. The pause is the shortest one in
    /// which others get to write. While no server uses a SQLite file, pauses are
    /// rare.
    #[must_use]
    pub fn of_insert(db: &Db, most: u64) -> Self {
        Self { long: LONG_OF_INSERT, is_bulk_insert: true, ..Self::of(db, most) }
    }

    /// Runs `work` for the next portion in a transaction, and lets others write before the next
    /// one. `work` gets a time that is read inside the transaction, and the number of rows that it
    /// may change. If it fails, it is retried with half as many rows, down to a portion of the
    /// smallest size.
    ///
    /// # Errors
    /// The error that `work` returned for the smallest portion.
    pub async fn run<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: std::error::Error + From<DbErr> + Send + 'static,
        F: Transact<u64, T, E> + Clone,
    {
        if let Some(next_at) = self.next_at.take() {
            tokio::time::sleep_until(next_at.into()).await;
        }
        loop {
            let (work, settings) = (work.clone(), self.connection_settings());
            let portion = self.db.write(self.size, move |txn, now, size| {
                Box::pin(timed(txn, settings, work(txn, now, size)))
            });
            match portion.await {
                Ok((value, took)) => {
                    self.adapt_size(took);
                    self.pause(took).await;
                    return Ok(value);
                }
                Err(error) if self.size <= MIN_ROWS => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, rows = self.size, "a portion failed; the next is smaller");
                    self.size = (self.size / 2).max(MIN_ROWS);
                    tokio::time::sleep(self.long).await;
                }
            }
        }
    }

    /// Deletes a portion of the rows that match `condition`, in the order of `order`. Skips rows
    /// that another transaction has locked.
    async fn delete<E: EntityTrait>(
        &mut self,
        condition: Condition,
        order: Option<E::Column>,
    ) -> Result<Deleted, DbErr> {
        self.run(move |txn, _, size| {
            let backend = txn.get_database_backend();
            let delete = delete_statement::<E>(backend, condition.clone(), order, *size);
            Box::pin(Deleted::by(txn, delete, order.is_some(), *size))
        })
        .await
    }

    fn connection_settings(&self) -> &'static [&'static str] {
        match (self.db.has_one_writer(), self.is_bulk_insert) {
            (false, _) => &[USE_INDEX],
            (true, false) => &[],
            (true, true) if self.db.may_be_served() => &[LARGE_CACHE, USUAL_CHECKPOINTS],
            (true, true) => &[LARGE_CACHE, RARE_CHECKPOINTS],
        }
    }

    /// If a portion takes less than this, the next one has twice the size. Bulk inserts do more
    /// work between two commits.
    fn short(&self) -> Duration {
        self.long / if self.is_bulk_insert { 2 } else { 4 }
    }

    async fn pause(&mut self, took: Duration) {
        if self.is_bulk_insert {
            let now = Instant::now();
            let pause = if !self.db.has_one_writer() || self.db.may_be_served() {
                self.pause
            } else if now.duration_since(self.paused_at) >= self.db.wait() / 3 {
                RARE_PAUSE
            } else {
                return;
            };
            (self.paused_at, self.next_at) = (now, Some(now + pause));
        } else {
            tokio::time::sleep(took.max(self.pause)).await;
        }
    }

    fn adapt_size(&mut self, took: Duration) {
        if took > self.long {
            self.size = (self.size / 2).max(MIN_ROWS);
        } else if took < self.short() {
            self.size = self.size.saturating_mul(2).min(self.most);
        }
    }
}

/// Deletes all rows that match `condition`, in portions and without a time limit. There must be an
/// index for `condition`.
///
/// # Errors
/// If the database refuses; then some rows may have been deleted.
pub async fn delete_all<E: EntityTrait>(
    db: &Db,
    condition: impl IntoCondition,
) -> Result<u64, DbErr> {
    let condition = condition.into_condition();
    let mut portions = Portions::of(db, MAX_ROWS);
    let mut total = 0;
    loop {
        let deleted = portions.delete::<E>(condition.clone(), None).await?;
        total += deleted.rows;
        if deleted.is_all {
            return Ok(total);
        }
    }
}

/// Deletes rows whose `column` is before `before`, oldest first, in portions and for at most ten
/// seconds. There must be an index that begins with `column`.
///
/// # Errors
/// If the database refuses; then some rows may have been deleted.
pub async fn delete_expired<E: EntityTrait>(
    db: &Db,
    column: E::Column,
    before: Timestamp,
) -> Result<Purged, DbErr> {
    let deadline = Instant::now() + TIME_PER_TABLE;
    let mut portions = Portions::of(db, MAX_ROWS);
    let mut purged = Purged { deleted: 0, backlog: None };
    let mut condition = Condition::all().add(column.lt(before));
    loop {
        let Deleted { rows, is_all, last } =
            portions.delete::<E>(condition.clone(), Some(column)).await?;
        purged.deleted += rows;
        let (Some(last), false) = (last, is_all) else { return Ok(purged) };
        if Instant::now() >= deadline {
            purged.backlog = Some(before.since(last));
            return Ok(purged);
        }
        // Continue from the last deleted time, so that the statement does not read the index
        // entries of the deleted rows before it. These entries remain as long as another
        // transaction might see the rows.
        condition = Condition::all().add(column.lt(before)).add(column.gte(last));
    }
}

/// The result of one portion.
struct Deleted {
    rows: u64,
    is_all: bool,
    last: Option<Timestamp>,
}

impl Deleted {
    /// Runs a statement that deletes at most `size` rows. If it returns the times of these rows
    /// (`returns`), `last` is the latest of them.
    async fn by(
        txn: &DatabaseTransaction,
        delete: DeleteStatement,
        returns: bool,
        size: u64,
    ) -> Result<Self, DbErr> {
        if !returns {
            let rows = txn.execute(&delete).await?.rows_affected();
            return Ok(Self { rows, is_all: rows < size, last: None });
        }
        let rows = txn.query_all(&delete).await?;
        let times = rows.iter().map(|row| row.try_get_by_index(0));
        let last = times.collect::<Result<Vec<Timestamp>, _>>()?.into_iter().max();
        let rows = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(Self { rows, is_all: rows < size, last })
    }
}

/// Runs the work of a portion and measures its time. The wait for other transactions is excluded,
/// because it does not depend on the size of the portion.
async fn timed<T, E: From<DbErr>>(
    txn: &DatabaseTransaction,
    settings: &[&str],
    work: Work<'_, T, E>,
) -> Result<(T, Duration), E> {
    for setting in settings {
        txn.execute_unprepared(setting).await?;
    }
    let began = Instant::now();
    let value = work.await?;
    Ok((value, began.elapsed()))
}

/// `DELETE … WHERE place IN (SELECT place … LIMIT size)`, in which `place` is the physical position
/// of a row. If rows were selected by key, PostgreSQL would read the whole table when it estimates
/// that `size` is a large part of the table.
fn delete_statement<E: EntityTrait>(
    backend: DbBackend,
    condition: Condition,
    order: Option<E::Column>,
    size: u64,
) -> DeleteStatement {
    // Imported only here, because its `max` and `min` would shadow those of numbers.
    use sea_orm::sea_query::ExprTrait;

    let is_postgres = backend == DbBackend::Postgres;
    let place = if is_postgres { "ctid" } else { "rowid" };
    let mut places = E::find().select_only().expr(Expr::col(place)).filter(condition).limit(size);
    if let Some(order) = order {
        places = places.order_by_asc(order);
    }
    let places = places.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).into_query();
    let is_selected = if is_postgres {
        let places = Expr::SubQuery(None, Box::new(places.into()));
        Expr::cust_with_expr("ctid = ANY(ARRAY $1)", places)
    } else {
        Expr::col(place).in_subquery(places)
    };
    let mut delete = Query::delete();
    delete.from_table(E::default().table_ref()).and_where(is_selected);
    if let Some(order) = order {
        delete.returning_col(order);
    }
    delete
}
