//! Connections to PostgreSQL that know when it is gone, and find it again.
//!
//! A request waits for the database as long as the setting allows, since a disk that stalls and a
//! crowd pass. A database that is dead does not: it refuses, or says nothing, as behind a dead link or
//! when frozen. So while somebody waits, one connection kept for it is asked for what needs no disk.
//! If that fails, or has no answer in [`ANSWER`], all who wait are refused at once, and so are those
//! who come, until new connections get an answer again; old ones behind a dead link may not notice
//! its return for minutes. A database that only reads, such as a primary that was demoted, refuses
//! writes in the same way until a connection finds one that writes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};

use crate::database::job::{is_connection_error, sql_state, unavailable};
use crate::database::options::refusal_of;

/// How long the connection kept for it may take to answer.
const ANSWER: Duration = Duration::from_millis(600);

/// How long a new connection may take, which many others may be asking for.
const CONNECT: Duration = Duration::from_secs(1);

/// Connections for the server's own tasks, as many as there are at a time: the beat, the record of an
/// outage, the key ring and the status lists.
const RESERVED: u32 = 4;

/// Pause between two attempts at a new connection.
const PAUSE: Duration = Duration::from_millis(250);

/// A wait for the database that is longer than this asks whether it lives, and again as often.
const SUSPICIOUS: Duration = Duration::from_millis(100);

/// How long a start waits for the database.
const START_WAIT: Duration = Duration::from_secs(5);

/// A pool that is replaced when it cannot be relied on; clones share it.
#[derive(Clone)]
pub(super) struct Pool(Arc<State>);

struct State {
    options: ConnectOptions,
    wait: Duration,
    connections: ArcSwap<DatabaseConnection>,
    /// Those that no crowd of requests can occupy.
    reserved: ArcSwap<DatabaseConnection>,
    health: watch::Sender<Health>,
    suspicion: Notify,
    is_back: Notify,
    /// Since when the beat that is under way waits for its commit.
    beat_since: Mutex<Option<Instant>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Health {
    Well,
    /// It answers and does not write.
    ReadOnly,
    Gone,
}

impl Pool {
    /// Waits at the start for a database that is busy, or starts at the same time.
    pub(super) async fn connect(options: ConnectOptions, wait: Duration) -> Result<Self, DbErr> {
        let deadline = Instant::now() + START_WAIT;
        let Connections { shared, reserved, probe } = loop {
            match connect(&options).await {
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                Ok(connections) => break connections,
                Err(error) => return Err(refusal_of(options.get_url()).await.unwrap_or(error)),
            }
        };
        let pool = Self(Arc::new(State {
            options,
            wait,
            connections: ArcSwap::from_pointee(shared),
            reserved: ArcSwap::from_pointee(reserved),
            health: watch::Sender::new(Health::Well),
            suspicion: Notify::new(),
            is_back: Notify::new(),
            beat_since: Mutex::default(),
            tasks: Mutex::default(),
        }));
        let watching = Arc::clone(&pool.0);
        pool.keep(tokio::spawn(async move { watch_over(&watching, probe).await }));
        Ok(pool)
    }

    /// A task that ends when the pool is closed.
    pub(super) fn keep(&self, task: JoinHandle<()>) {
        locked(&self.0.tasks).push(task);
    }

    /// The connections of the moment.
    pub(super) fn connections(&self) -> Arc<DatabaseConnection> {
        self.0.connections.load_full()
    }

    /// The reserved ones of the moment.
    pub(super) fn reserved(&self) -> Arc<DatabaseConnection> {
        self.0.reserved.load_full()
    }

    /// How long a request waits for the database.
    pub(super) fn wait(&self) -> Duration {
        self.0.wait
    }

    /// Waits for `work` until the setting's time is over or the database is found to be gone.
    pub(super) async fn patiently<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let result = self.while_alive(work).await.unwrap_or_else(|| Err(unavailable()));
        if let Err(error) = &result {
            self.learn(error);
        }
        result
    }

    /// None if the wait was in vain.
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

    /// Looks into what an error says of the database's health.
    pub(super) fn learn(&self, error: &DbErr) {
        // 25006: the transaction can only read.
        if is_connection_error(error) || sql_state(error).as_deref() == Some("25006") {
            self.0.suspicion.notify_one();
        }
    }

    /// What keeps writes from being acknowledged now: those that come are refused at once.
    pub(super) fn trouble(&self) -> Option<&'static str> {
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

    /// Ends when the database answers again after it did not, from this call on.
    pub(super) fn back_again(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.is_back.notified()
    }

    pub(super) async fn close(&self) {
        locked(&self.0.tasks).drain(..).for_each(|task| task.abort());
        close(&self.reserved()).await;
        close(&self.connections()).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks whether the database lives when somebody suspects that it does not, and if not, for its
/// return.
async fn watch_over(state: &State, mut probe: DatabaseConnection) {
    loop {
        state.suspicion.notified().await;
        match look(&probe, ANSWER).await {
            Some(Health::Well) => {}
            found => {
                let health = found.unwrap_or(Health::Gone);
                tracing::warn!(?health, "the database does not answer, or does not write");
                state.health.send_replace(health);
                let old = std::mem::replace(&mut probe, find_again(state).await);
                tokio::spawn(async move { close(&old).await });
                tracing::info!("the database answers");
            }
        }
        sleep(SUSPICIOUS / 2).await;
    }
}

/// Connects until there is a database that writes, and puts its connections in place of the old ones.
async fn find_again(state: &State) -> DatabaseConnection {
    loop {
        if let Ok(Ok(Connections { shared, reserved, probe })) =
            timeout(CONNECT, connect(&state.options)).await
        {
            let health = look(&probe, CONNECT).await;
            if health == Some(Health::Well) {
                replace(state, shared, reserved, Health::Well);
                state.is_back.notify_waiters();
                return probe;
            }
            match health {
                // What can be read is worth reading.
                Some(health) if *state.health.borrow() == Health::Gone => {
                    replace(state, shared, reserved, health);
                }
                _ => {
                    close(&reserved).await;
                    close(&shared).await;
                }
            }
            close(&probe).await;
        }
        sleep(PAUSE).await;
    }
}

fn replace(
    state: &State,
    shared: DatabaseConnection,
    reserved: DatabaseConnection,
    health: Health,
) {
    for old in [state.connections.swap(Arc::new(shared)), state.reserved.swap(Arc::new(reserved))] {
        // It waits for connections in use, which may take as long as a dead link.
        tokio::spawn(async move { close(&old).await });
    }
    state.health.send_replace(health);
}

/// What requests share, some for the tasks of the server, and one for asking whether the database lives.
struct Connections {
    shared: DatabaseConnection,
    reserved: DatabaseConnection,
    probe: DatabaseConnection,
}

async fn connect(options: &ConnectOptions) -> Result<Connections, DbErr> {
    let shared = Database::connect(options.clone()).await?;
    let few = |connections| {
        let mut options = options.clone();
        options.max_connections(connections).min_connections(1);
        Database::connect(options)
    };
    let reserved = few(RESERVED).await?;
    let probe = few(1).await?;
    Ok(Connections { shared, reserved, probe })
}

/// None if there is no answer in time, or none that can be understood.
async fn look(probe: &DatabaseConnection, time: Duration) -> Option<Health> {
    let question = Statement::from_string(DbBackend::Postgres, "SHOW transaction_read_only");
    let deadline = tokio::time::Instant::now() + time;
    let row = timeout_at(deadline, probe.query_one_raw(question)).await.ok()?.ok()??;
    let is_read_only: String = row.try_get_by_index(0).ok()?;
    Some(if is_read_only == "on" { Health::ReadOnly } else { Health::Well })
}

async fn close(connection: &DatabaseConnection) {
    if let Err(error) = connection.close_by_ref().await {
        tracing::warn!(%error, "closing the database failed");
    }
}
