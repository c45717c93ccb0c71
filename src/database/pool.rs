//! Connections to PostgreSQL that know when it is gone, and find it again.
//!
//! A database that was stopped refuses; one behind a dead link says nothing, and neither does a
//! frozen one. A request waits [`PATIENCE`] and no longer. Once something has gone wrong the pool is
//! *out*: every further request is refused at once, so that none piles up, while one task tries to
//! get an answer again. It gives the old connections one chance and otherwise opens new ones, since
//! those behind a dead link may not notice its return for minutes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sea_orm::error::{ConnAcquireErr, RuntimeErr};
use sea_orm::sqlx;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{sleep, timeout};

/// How long a request waits for the database: the answer to its client is due within a second.
const PATIENCE: Duration = Duration::from_millis(900);

/// How long a probe waits.
const PROBE: Duration = Duration::from_millis(400);

/// Pause between two probes.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a start waits for the database.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// A pool that is replaced when it cannot be relied on; clones share it.
#[derive(Clone)]
pub(super) struct Pool(Arc<State>);

struct State {
    options: ConnectOptions,
    connections: ArcSwap<DatabaseConnection>,
    is_out: AtomicBool,
    is_searching: AtomicBool,
    is_back: Notify,
    last_outage: Mutex<Option<(Instant, Instant)>>,
}

/// A time in which the database did not answer, and which is over.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// How long ago it began, at most.
    pub began: Duration,
    /// How long ago it ended.
    pub ended: Duration,
}

/// What made a pool suspect.
#[derive(Clone, Copy, PartialEq)]
enum Suspicion {
    /// It took too long: it may be the link, or one slow query.
    Slow,
    /// A connection broke, so the others have too.
    Broken,
}

impl Pool {
    /// Waits at the start for a database that is busy, or starts at the same time.
    pub(super) async fn connect(options: ConnectOptions) -> Result<Self, DbErr> {
        let deadline = Instant::now() + START_PATIENCE;
        let connections = loop {
            match Database::connect(options.clone()).await {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                result => break ArcSwap::from_pointee(result?),
            }
        };
        let (is_out, is_searching) = (AtomicBool::new(false), AtomicBool::new(false));
        let is_back = Notify::new();
        let last_outage = Mutex::default();
        Ok(Self(Arc::new(State {
            options,
            connections,
            is_out,
            is_searching,
            is_back,
            last_outage,
        })))
    }

    /// The connections of the moment.
    pub(super) fn connections(&self) -> Arc<DatabaseConnection> {
        self.0.connections.load_full()
    }

    /// Waits for `work` as long as is decent, and not at all while the database is out.
    pub(super) async fn patiently<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        if self.0.is_out.load(Ordering::Acquire) {
            return Err(unavailable());
        }
        let Ok(result) = timeout(PATIENCE, work).await else {
            self.suspect(Suspicion::Slow);
            return Err(unavailable());
        };
        if result.as_ref().is_err_and(is_connection_lost) {
            self.suspect(Suspicion::Broken);
        }
        result
    }

    /// Ends when the database answers again after it did not, from this call on.
    pub(super) fn back_again(&self) -> Notified<'_> {
        self.0.is_back.notified()
    }

    /// The last outage, if there was one.
    pub(super) fn last_outage(&self) -> Option<Outage> {
        let last = *self.0.last_outage.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|(began, ended)| Outage { began: began.elapsed(), ended: ended.elapsed() })
    }

    fn suspect(&self, suspicion: Suspicion) {
        if suspicion == Suspicion::Broken {
            self.0.is_out.store(true, Ordering::Release);
        }
        if !self.0.is_searching.swap(true, Ordering::AcqRel) {
            tokio::spawn(find_again(Arc::clone(&self.0)));
        }
    }

    pub(super) async fn close(&self) {
        if let Err(error) = self.connections().close_by_ref().await {
            tracing::warn!(%error, "closing the database failed");
        }
    }
}

/// Looks whether the database is gone, and if so, for its return.
async fn find_again(state: Arc<State>) {
    // Whoever noticed has waited, for an answer to a request that is older still.
    let now = Instant::now();
    let began = now.checked_sub(2 * PATIENCE).unwrap_or(now);
    if !state.is_out.load(Ordering::Acquire) && is_well(&state).await {
        state.is_searching.store(false, Ordering::Release);
        // A connection may have broken meanwhile; then nobody else has begun to search.
        let is_gone = state.is_out.load(Ordering::Acquire);
        if !is_gone || state.is_searching.swap(true, Ordering::AcqRel) {
            return;
        }
    }
    state.is_out.store(true, Ordering::Release);
    tracing::warn!("the database does not answer; requests that need it are refused");
    let fresh = Arc::new(connect_again(&state.options).await);
    let old = state.connections.swap(fresh);
    // Closing waits for connections in use, which may take as long as the dead link.
    tokio::spawn(async move { drop(old.close_by_ref().await) });

    let outage = Some((began, Instant::now()));
    *state.last_outage.lock().unwrap_or_else(PoisonError::into_inner) = outage;
    state.is_out.store(false, Ordering::Release);
    state.is_searching.store(false, Ordering::Release);
    state.is_back.notify_waiters();
    tracing::info!("the database answers");
}

/// Whether it was one slow query, or a crowd, that made somebody wait: a new connection gets an
/// answer, and an old one too, in the time that a request waits for one.
async fn is_well(state: &State) -> bool {
    let mut options = state.options.clone();
    options.max_connections(1).min_connections(1);
    let Ok(Ok(fresh)) = timeout(PROBE, Database::connect(options)).await else { return false };
    drop(fresh.close().await);
    let old = state.connections.load_full();
    matches!(timeout(PATIENCE, old.ping()).await, Ok(Ok(())))
}

async fn connect_again(options: &ConnectOptions) -> DatabaseConnection {
    loop {
        if let Ok(Ok(connections)) = timeout(PROBE, Database::connect(options.clone())).await {
            return connections;
        }
        sleep(PAUSE).await;
    }
}

/// Whether the connection, and not the statement, is at fault.
fn is_connection_lost(error: &DbErr) -> bool {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        // No connection in time: a crowd, which waiting callers tell from an outage.
        return false;
    };
    let RuntimeErr::SqlxError(cause) = cause else { return false };
    match &**cause {
        // Class 08: connection exceptions; class 57: operator intervention, such as a shutdown.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

fn unavailable() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}
