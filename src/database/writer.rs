//! Transactions that run to their end, and share commits on SQLite.
//!
//! A durable commit costs a sync to disk, which takes longer than the statements before it. While
//! one batch is being synced the next requests queue up, and the writer takes them all into the
//! next transaction: each is acknowledged after the sync that holds it, and none waits for a sync
//! of its own. If one of a batch fails, the batch is rolled back and each runs alone, so nobody
//! sees a neighbour's failure.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::error::{ConnAcquireErr, RuntimeErr};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::database::Work;
use crate::database::pool::Pool;
use crate::timestamp::Timestamp;

/// Transactions that may wait for the writer; past it the database counts as unavailable.
const QUEUE: usize = 4096;

/// Transactions in one commit: bounds how long the first of them waits for the last.
const BATCH: usize = 128;

/// How often a transaction is tried that PostgreSQL could not serialise.
const TRIES: u32 = 4;

/// SQLite: one connection, and a queue of transactions for it.
#[derive(Clone)]
pub(super) struct SharedWriter {
    connection: DatabaseConnection,
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl SharedWriter {
    pub(super) fn start(connection: DatabaseConnection, clock: Clock) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(write_batches(connection.clone(), clock, jobs));
        Self { connection, queue }
    }

    pub(super) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Error + From<DbErr> + Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction, Timestamp) -> Work<'t, T, E> + Send + Sync + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Transaction { work, outcome: None, reply });
        let queued = self.queue.try_send(job);
        queued.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        answer.await.unwrap_or_else(|_| Err(lost().into()))
    }

    pub(super) async fn close(&self) {
        if let Err(error) = self.connection.close_by_ref().await {
            tracing::warn!(%error, "closing the database failed");
        }
    }
}

/// PostgreSQL: each transaction takes a connection of the pool.
pub(super) async fn write_pooled<T, E, F>(pool: &Pool, clock: &Clock, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: Error + From<DbErr> + Send + 'static,
    F: for<'t> Fn(&'t DatabaseTransaction, Timestamp) -> Work<'t, T, E> + Send + Sync + 'static,
{
    let abandoned = Arc::new(AtomicBool::new(false));
    let waiting = pool.patiently(async {
        let result = submit(pool, clock, work, Arc::clone(&abandoned)).await;
        // The pool learns what the database itself reports; the rest is the caller's alone.
        match result.as_ref().err().and_then(|error| database_error(error)).cloned() {
            Some(cause) => Err(cause),
            None => Ok(result),
        }
    });
    waiting.await.unwrap_or_else(|error| {
        // The client is told that nothing was done, so nothing must be done later either.
        abandoned.store(true, Ordering::Release);
        Err(error.into())
    })
}

/// The same for work that may take its time.
pub(super) async fn write_at_leisure<T, E, F>(pool: &Pool, clock: &Clock, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: Error + From<DbErr> + Send + 'static,
    F: for<'t> Fn(&'t DatabaseTransaction, Timestamp) -> Work<'t, T, E> + Send + Sync + 'static,
{
    submit(pool, clock, work, Arc::default()).await
}

async fn submit<T, E, F>(
    pool: &Pool,
    clock: &Clock,
    work: F,
    abandoned: Arc<AtomicBool>,
) -> Result<T, E>
where
    T: Send + 'static,
    E: Error + From<DbErr> + Send + 'static,
    F: for<'t> Fn(&'t DatabaseTransaction, Timestamp) -> Work<'t, T, E> + Send + Sync + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job = Box::new(Transaction { work, outcome: None, reply });
    // A task of its own: the transaction must not end where its client hangs up.
    tokio::spawn(write_one(pool.connections(), clock.clone(), job, abandoned));
    answer.await.unwrap_or_else(|_| Err(lost().into()))
}

/// A transaction of unknown result type.
pub(super) trait Job: Send {
    /// Runs the work and keeps its outcome; the answer says whether it may be committed.
    fn run<'t>(&'t mut self, txn: &'t DatabaseTransaction, now: Timestamp) -> BoxFuture<'t, Step>;
    /// Sends the kept outcome, or the error of the commit.
    fn finish(self: Box<Self>, committed: Result<(), DbErr>);
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Step {
    Commit,
    RollBack,
    /// PostgreSQL asks to try the transaction again (SQLSTATE 40001, 40P01).
    Retry,
}

struct Transaction<T, E, F> {
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Transaction<T, E, F>
where
    T: Send,
    E: Error + From<DbErr> + Send + 'static,
    F: for<'t> Fn(&'t DatabaseTransaction, Timestamp) -> Work<'t, T, E> + Send + Sync,
{
    fn run<'t>(&'t mut self, txn: &'t DatabaseTransaction, now: Timestamp) -> BoxFuture<'t, Step> {
        Box::pin(async move {
            let outcome = AssertUnwindSafe((self.work)(txn, now)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(panicked().into()));
            let step = match &outcome {
                Ok(_) => Step::Commit,
                Err(error) if asks_to_retry(error) => Step::Retry,
                Err(_) => Step::RollBack,
            };
            self.outcome = Some(outcome);
            step
        })
    }

    fn finish(self: Box<Self>, committed: Result<(), DbErr>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(lost().into()),
        };
        // The caller may be gone; the work is done all the same.
        drop(self.reply.send(outcome));
    }
}

/// Ends when the last handle on the queue is dropped or the connection is closed.
async fn write_batches(
    connection: DatabaseConnection,
    clock: Clock,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        match commit_together(&connection, &clock, &mut batch).await {
            Ok(true) => batch.drain(..).for_each(|job| job.finish(Ok(()))),
            Ok(false) => {
                for job in batch.drain(..) {
                    commit_alone(&connection, &clock, job).await;
                }
            }
            Err(error) => batch.drain(..).for_each(|job| job.finish(Err(error.clone()))),
        }
    }
}

/// `Ok(false)` if one of them failed; nothing has been changed then.
async fn commit_together(
    connection: &DatabaseConnection,
    clock: &Clock,
    batch: &mut [Box<dyn Job>],
) -> Result<bool, DbErr> {
    let txn = begin(connection).await?;
    for job in batch {
        if job.run(&txn, clock.now()).await != Step::Commit {
            txn.rollback().await?;
            return Ok(false);
        }
    }
    txn.commit().await?;
    Ok(true)
}

async fn commit_alone(connection: &DatabaseConnection, clock: &Clock, mut job: Box<dyn Job>) {
    let committed = attempt(connection, clock, &mut job, &AtomicBool::new(false)).await.map(|_| ());
    job.finish(committed);
}

async fn attempt(
    connection: &DatabaseConnection,
    clock: &Clock,
    job: &mut Box<dyn Job>,
    abandoned: &AtomicBool,
) -> Result<Step, DbErr> {
    let txn = begin(connection).await?;
    let step = job.run(&txn, clock.now()).await;
    match step {
        Step::Commit if abandoned.load(Ordering::Acquire) => {
            txn.rollback().await?;
            return Err(lost());
        }
        Step::Commit => txn.commit().await?,
        Step::RollBack | Step::Retry => txn.rollback().await?,
    }
    Ok(step)
}

/// PostgreSQL: a transaction of its own, tried again while the server asks for it.
async fn write_one(
    pool: Arc<DatabaseConnection>,
    clock: Clock,
    mut job: Box<dyn Job>,
    abandoned: Arc<AtomicBool>,
) {
    let mut tries = 1;
    let committed = loop {
        match attempt(&pool, &clock, &mut job, &abandoned).await {
            Ok(Step::Retry) if tries < TRIES => {}
            Ok(_) => break Ok(()),
            Err(error) if tries < TRIES && asks_to_retry(&error) => {}
            Err(error) => break Err(error),
        }
        tokio::time::sleep(Duration::from_millis(u64::from(tries) * 5)).await;
        tries += 1;
    };
    job.finish(committed);
}

async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    connection.begin_with_options(options).await
}

/// Whether a serialization failure or a deadlock is at the root of `error`.
fn asks_to_retry(error: &(dyn Error + 'static)) -> bool {
    let state = database_error(error).and_then(sql_state);
    matches!(state.as_deref(), Some("40001" | "40P01"))
}

/// The database's error among the causes of `error`.
fn database_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e DbErr> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// The code that the database gave `error`: an SQLSTATE, or a number of SQLite's.
pub(super) fn sql_state(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        return None;
    };
    let RuntimeErr::SqlxError(cause) = cause else { return None };
    Some(cause.as_database_error()?.code()?.into_owned())
}

fn lost() -> DbErr {
    DbErr::Custom("the transaction was given up before it was committed".to_owned())
}

fn panicked() -> DbErr {
    DbErr::Custom("the transaction panicked".to_owned())
}
