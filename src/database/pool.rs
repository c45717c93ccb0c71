//! A PostgreSQL connection pool that detects when the database is gone, and reconnects.
//!
//! A request waits for the database until the configured timeout, since a stalled disk and overload
//! pass. A dead database does not recover by waiting: it refuses connections, or does not respond,
//! as behind a dead link or when frozen. So while a request waits, a dedicated connection sends a
//! probe that needs no disk. If the probe fails or has no response within [`ANSWER`], all waiting
//! and new requests are refused at once, until new connections get a response again; old
//! connections behind a dead link may not notice the recovery for minutes. If the database is
//! read-only, such as a demoted primary, writes are refused in the same way until a connection
//! finds a writable one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::database::job::{is_connection_error, sql_state, unavailable};
use crate::database::options::{close, refusal_of};
use crate::database::sql;

/// Timeout of the probe on its dedicated connection.
const ANSWER: Duration = Duration::from_millis(600);

/// Timeout for a new connection, which many other clients may be opening, too.
const CONNECT: Duration = Duration::from_secs(1);

/// Connections reserved for the server's own tasks, as many as run at a time: the heartbeat, the
/// recording of an outage, the key ring and the status lists.
const RESERVED: u32 = 4;

/// Pause between two connection attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// A wait for the database that is longer than this triggers a probe, and again at this interval.
const SUSPICIOUS: Duration = Duration::from_millis(100);

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
    suspicion: Notify,
    is_back: Notify,
    /// When the heartbeat under way began to wait for its commit.
    beat_since: Mutex<Option<Instant>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Health {
    Well,
    /// It responds, but refuses writes.
    ReadOnly,
    Gone,
}

impl Pool {
    /// Waits at startup for a database that is busy or still starting.
    pub(super) async fn connect(options: ConnectOptions, wait: Duration) -> Result<Self, DbErr> {
        let deadline = Instant::now() + START_WAIT;
        let (connections, probe) = loop {
            match connect(&options).await {
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                Ok(connected) => break connected,
                Err(error) => return Err(refusal_of(options.get_url()).await.unwrap_or(error)),
            }
        };
        let pool = Self(Arc::new(State {
            options,
            wait,
            connections: ArcSwap::from_pointee(connections),
            health: watch::Sender::new(Health::Well),
            suspicion: Notify::new(),
            is_back: Notify::new(),
            beat_since: Mutex::default(),
            tasks: Mutex::default(),
        }));
        let watching = Arc::clone(&pool.0);
        pool.keep(tokio::spawn(async move { monitor(&watching, probe).await }));
        Ok(pool)
    }

    /// Registers a task that is aborted when the pool is closed.
    pub(super) fn keep(&self, task: JoinHandle<()>) {
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

    /// Waits for `work` until the configured timeout, or until the database is found to be gone.
    pub(super) async fn with_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let result = self.while_alive(work).await.unwrap_or_else(|| Err(unavailable()));
        if let Err(error) = &result {
            self.suspect(error);
        }
        result
    }

    /// `None` after a timeout, or if the database is gone.
    pub(super) async fn while_alive<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut health = self.0.health.subscribe();
        let deadline = tokio::time::Instant::now() + self.0.wait;
        let mut work = std::pin::pin!(work);
        let mut next_look = tokio::time::Instant::now() + SUSPICIOUS;
        loop {
            if *health.borrow_and_update() == Health::Gone {
                return None;
            }
            tokio::select! {
                biased;
                result = &mut work => return Some(result),
                _ = health.changed() => {}
                () = tokio::time::sleep_until(next_look.min(deadline)) => {
                    if next_look >= deadline {
                        return None;
                    }
                    self.0.suspicion.notify_one();
                    next_look += SUSPICIOUS;
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

    /// Why writes cannot be acknowledged now: new ones are refused at once.
    pub(super) fn write_obstacle(&self) -> Option<&'static str> {
        match *self.0.health.borrow() {
            Health::Gone => return Some("the database does not answer"),
            Health::ReadOnly => return Some("the database only reads"),
            Health::Well => {}
        }
        let since = *locked(&self.0.beat_since);
        let is_overdue = since.is_some_and(|since| since.elapsed() > self.0.wait);
        is_overdue.then_some("a commit is overdue")
    }

    pub(super) fn beat_begins(&self) {
        locked(&self.0.beat_since).get_or_insert_with(Instant::now);
    }

    pub(super) fn beat_ends(&self) {
        *locked(&self.0.beat_since) = None;
    }

    /// Completes when the database next becomes available again after being unavailable.
    pub(super) fn recovered(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.is_back.notified()
    }

    pub(super) async fn close(&self) {
        locked(&self.0.tasks).drain(..).for_each(|task| task.abort());
        self.connections().close().await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Probes the database on suspicion, and reconnects if it is gone or read-only.
async fn monitor(state: &State, mut probe: DatabaseConnection) {
    loop {
        state.suspicion.notified().await;
        match probe_health(&probe, ANSWER).await {
            Some(Health::Well) => {}
            found => {
                let health = found.unwrap_or(Health::Gone);
                tracing::warn!(?health, "the database does not respond, or is read-only");
                state.health.send_replace(health);
                let old = std::mem::replace(&mut probe, reconnect(state).await);
                tokio::spawn(async move { close(&old).await });
                tracing::info!("the database answers");
            }
        }
        sleep(SUSPICIOUS / 2).await;
    }
}

/// Reconnects until it finds a writable database, and replaces the old connections.
async fn reconnect(state: &State) -> DatabaseConnection {
    loop {
        if let Ok(Ok((connections, probe))) = timeout(CONNECT, connect(&state.options)).await {
            match probe_health(&probe, CONNECT).await {
                Some(Health::Well) => {
                    replace(state, connections, Health::Well);
                    state.is_back.notify_waiters();
                    return probe;
                }
                // Reads are still possible on a read-only database.
                Some(health) if *state.health.borrow() == Health::Gone => {
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
    // Closing waits for connections in use, which may take as long as a dead link.
    tokio::spawn(async move { old.close().await });
    state.health.send_replace(health);
}

/// The connections of the pool.
pub(super) struct Connections {
    /// For requests.
    pub(super) shared: DatabaseConnection,
    /// For the server's own tasks; requests cannot exhaust them.
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
    let few = |connections| {
        let mut options = options.clone();
        options.max_connections(connections).min_connections(1);
        Database::connect(options)
    };
    let reserved = few(RESERVED).await?;
    let probe = few(1).await?;
    Ok((Connections { shared, reserved }, probe))
}

/// `None` if there is no response in time, or a response that cannot be parsed.
async fn probe_health(probe: &DatabaseConnection, time: Duration) -> Option<Health> {
    let answer = sql::first::<String>(probe, "SHOW transaction_read_only", []);
    let is_read_only = timeout(time, answer).await.ok()?.ok()??;
    Some(if is_read_only == "on" { Health::ReadOnly } else { Health::Well })
}
