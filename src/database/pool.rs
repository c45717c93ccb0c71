//! A PostgreSQL connection pool that detects when the database is unreachable, and reconnects.
//!
//! A request waits for a slow database until the configured timeout, because a stalled disk and
//! overload are temporary. Waiting does not help if the database is unreachable: it refuses
//! connections, or does not respond because it is suspended or the network failed.
//!
//! So while a request waits, a dedicated connection sends a probe that needs no disk. If the probe
//! fails or gets no response within [`PROBE_TIMEOUT`], all waiting and new requests are refused
//! immediately, until new connections get a response again. Only new connections can show this: old
//! connections may not notice for minutes that the network works again.
//!
//! If the database is read-only, such as a demoted primary, writes are refused immediately until a
//! new connection reaches a writable database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::database::job::{is_connection_error, sql_state, unavailable};
use crate::database::options::{close, connection_error};
use crate::database::sql;

/// Timeout of the probe on its dedicated connection.
const PROBE_TIMEOUT: Duration = Duration::from_millis(600);

/// Timeout for opening a new connection. It is longer, because many clients may reconnect at the
/// same time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Number of connections reserved for the server's own tasks, one for each task that may run at the
/// same time: the heartbeat, the recording of an outage, the key ring and the status lists.
const RESERVED_CONNECTIONS: u32 = 4;

/// Pause between two connection attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// While a request waits for the database, it triggers a probe at this interval.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// How long startup waits for the database.
const START_WAIT: Duration = Duration::from_secs(5);

/// A connection pool that is replaced when it fails; clones share it.
#[derive(Clone)]
pub(super) struct Pool(Arc<State>);

struct State {
    options: ConnectOptions,
    wait: Duration,
    connections: ArcSwap<Connections>,
    health: watch::Sender<Health>,
    /// Triggers a probe.
    suspicion: Notify,
    /// Wakes the tasks that wait for the database to become available again.
    recovery: Notify,
    /// When the heartbeat under way began to wait for its commit.
    heartbeat_since: Mutex<Option<Instant>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Health {
    Healthy,
    /// The database responds, but refuses writes.
    ReadOnly,
    Unreachable,
}

impl Pool {
    /// Opens the connections at startup. Waits for a database that is busy or still starting.
    pub(super) async fn connect(options: ConnectOptions, wait: Duration) -> Result<Self, DbErr> {
        let deadline = Instant::now() + START_WAIT;
        let (connections, probe) = loop {
            match connect(&options).await {
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                Ok(connected) => break connected,
                Err(error) => {
                    return Err(connection_error(options.get_url()).await.unwrap_or(error));
                }
            }
        };
        let pool = Self(Arc::new(State {
            options,
            wait,
            connections: ArcSwap::from_pointee(connections),
            health: watch::Sender::new(Health::Healthy),
            suspicion: Notify::new(),
            recovery: Notify::new(),
            heartbeat_since: Mutex::default(),
            tasks: Mutex::default(),
        }));
        let state = Arc::clone(&pool.0);
        pool.abort_on_close(tokio::spawn(async move { monitor(&state, probe).await }));
        Ok(pool)
    }

    /// Makes [`close`](Self::close) abort the task.
    pub(super) fn abort_on_close(&self, task: JoinHandle<()>) {
        locked(&self.0.tasks).push(task);
    }

    /// The current connections.
    pub(super) fn connections(&self) -> Arc<Connections> {
        self.0.connections.load_full()
    }

    /// How long a request waits for the database before it times out.
    pub(super) fn wait(&self) -> Duration {
        self.0.wait
    }

    /// Waits for `work` until the configured timeout, or until the database is unreachable.
    pub(super) async fn with_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let result = self.while_reachable(work).await.unwrap_or_else(|| Err(unavailable()));
        if let Err(error) = &result {
            self.suspect(error);
        }
        result
    }

    /// Waits for `work`. Returns `None` after the timeout, or if the database is unreachable.
    pub(super) async fn while_reachable<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut health = self.0.health.subscribe();
        let deadline = tokio::time::Instant::now() + self.0.wait;
        let mut work = std::pin::pin!(work);
        let mut next_probe = tokio::time::Instant::now() + PROBE_INTERVAL;
        loop {
            if *health.borrow_and_update() == Health::Unreachable {
                return None;
            }
            tokio::select! {
                biased;
                result = &mut work => return Some(result),
                _ = health.changed() => {}
                () = tokio::time::sleep_until(next_probe.min(deadline)) => {
                    if next_probe >= deadline {
                        return None;
                    }
                    self.0.suspicion.notify_one();
                    next_probe += PROBE_INTERVAL;
                }
            }
        }
    }

    /// Triggers a probe if an error suggests that the database is unavailable.
    pub(super) fn suspect(&self, error: &DbErr) {
        // 25006: the transaction is read-only.
        if is_connection_error(error) || sql_state(error).as_deref() == Some("25006") {
            self.0.suspicion.notify_one();
        }
    }

    /// Why writes cannot be acknowledged now, if there is a reason. New writes are then refused
    /// immediately.
    pub(super) fn write_obstacle(&self) -> Option<&'static str> {
        match *self.0.health.borrow() {
            Health::Unreachable => return Some("the database does not respond"),
            Health::ReadOnly => return Some("the database is read-only"),
            Health::Healthy => {}
        }
        let since = *locked(&self.0.heartbeat_since);
        let is_overdue = since.is_some_and(|since| since.elapsed() > self.0.wait);
        is_overdue.then_some("a commit is overdue")
    }

    pub(super) fn heartbeat_begins(&self) {
        locked(&self.0.heartbeat_since).get_or_insert_with(Instant::now);
    }

    pub(super) fn heartbeat_ends(&self) {
        *locked(&self.0.heartbeat_since) = None;
    }

    /// Completes the next time that the database becomes available again.
    pub(super) fn recovered(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.recovery.notified()
    }

    pub(super) async fn close(&self) {
        locked(&self.0.tasks).drain(..).for_each(|task| task.abort());
        self.connections().close().await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Probes the database whenever a probe is triggered. Reconnects if the database is unreachable or
/// read-only.
async fn monitor(state: &State, mut probe: DatabaseConnection) {
    loop {
        state.suspicion.notified().await;
        match probe_health(&probe, PROBE_TIMEOUT).await {
            Some(Health::Healthy) => {}
            found => {
                let health = found.unwrap_or(Health::Unreachable);
                tracing::warn!(?health, "the database does not respond, or is read-only");
                state.health.send_replace(health);
                let old = std::mem::replace(&mut probe, reconnect(state).await);
                tokio::spawn(async move { close(&old).await });
                tracing::info!("the database is available again");
            }
        }
        sleep(PROBE_INTERVAL / 2).await;
    }
}

/// Reconnects until it finds a writable database, and replaces the old connections.
async fn reconnect(state: &State) -> DatabaseConnection {
    loop {
        if let Ok(Ok((connections, probe))) =
            timeout(CONNECT_TIMEOUT, connect(&state.options)).await
        {
            match probe_health(&probe, CONNECT_TIMEOUT).await {
                Some(Health::Healthy) => {
                    replace(state, connections, Health::Healthy);
                    state.recovery.notify_waiters();
                    return probe;
                }
                // Reads are still possible on a read-only database.
                Some(health) if *state.health.borrow() == Health::Unreachable => {
                    replace(state, connections, health);
                }
                _ => connections.close().await,
            }
            close(&probe).await;
        }
        sleep(PAUSE).await;
    }
}

fn replace(state: &State, connections: Connections, health: Health) {
    let old = state.connections.swap(Arc::new(connections));
    // Closing waits for connections in use. This may take long if the network has failed.
    tokio::spawn(async move { old.close().await });
    state.health.send_replace(health);
}

/// The connections of the pool.
pub(super) struct Connections {
    /// For requests.
    pub(super) shared: DatabaseConnection,
    /// For the server's own tasks. Requests cannot exhaust these connections.
    pub(super) reserved: DatabaseConnection,
}

impl Connections {
    async fn close(&self) {
        tokio::join!(close(&self.reserved), close(&self.shared));
    }
}

/// Opens the connections of the pool, and one for the probe.
async fn connect(options: &ConnectOptions) -> Result<(Connections, DatabaseConnection), DbErr> {
    let shared = Database::connect(options.clone()).await?;
    let connect_some = |connections| {
        let mut options = options.clone();
        options.max_connections(connections).min_connections(1);
        Database::connect(options)
    };
    let reserved = connect_some(RESERVED_CONNECTIONS).await?;
    let probe = connect_some(1).await?;
    Ok((Connections { shared, reserved }, probe))
}

/// Returns `None` after an error, or if there is no response within `limit`.
async fn probe_health(probe: &DatabaseConnection, limit: Duration) -> Option<Health> {
    let response = sql::first::<String>(probe, "SHOW transaction_read_only", []);
    let read_only = timeout(limit, response).await.ok()?.ok()??;
    Some(if read_only == "on" { Health::ReadOnly } else { Health::Healthy })
}
