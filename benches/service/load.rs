//! Load generator. Each connection sends its next request when it has received the response to the
//! previous one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::client::Connection;
use crate::users::{self, User};

/// The status of requests that the server refuses temporarily. The client may retry them.
const BUSY: u16 = 503;

/// The pause of a client before it retries. It is shorter than any `Retry-After`, so that the load
/// does not drop.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// The path of the key set.
pub(crate) const JWKS: &str = "/.well-known/jwks.json";

/// The requests of one connection.
pub(crate) enum Work {
    /// The same request repeatedly, with a pause after each response.
    Fetch { request: Vec<u8>, pause: Duration },
    /// One sign-up for each user.
    SignUp { users: Vec<User>, next: usize },
    /// A login for each user in turn.
    LogIn { users: Vec<User>, next: usize },
    /// A refresh for each user in turn.
    Refresh { users: Vec<User>, next: usize },
    /// Refreshes with forged tokens.
    Forged,
}

/// The results of a load.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The work of all connections, which a later run can continue.
    pub(crate) work: Vec<Work>,
    /// Latencies of all responses except 503, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// How often each status occurred.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// The number of 503 responses. They are not errors, and rates and latencies exclude them.
    pub(crate) busy: u64,
    /// From the first request to the last response.
    pub(crate) elapsed: Duration,
}

impl Work {
    /// Fetches of the key set by `connections` connections.
    pub(crate) fn jwks(connections: usize, pause: Duration) -> Vec<Self> {
        let request = format!("GET {JWKS} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes();
        let fetch = || Self::Fetch { request: request.clone(), pause };
        (0..connections).map(|_| fetch()).collect()
    }

    /// The next request, or `None` when no requests are left.
    fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Fetch { request, .. } => Some(request.clone()),
            Self::SignUp { users, next } => users.get(*next).map(User::sign_up),
            Self::LogIn { users, next } => {
                *next = (*next + 1) % users.len();
                users.get(*next).map(User::log_in)
            }
            Self::Refresh { users, next } => {
                *next = (*next + 1) % users.len();
                users.get_mut(*next).map(User::refresh)
            }
            Self::Forged => Some(users::forged_refresh()),
        }
    }

    /// Stores the tokens of a response.
    fn handle_response(&mut self, body: &str) {
        match self {
            Self::Refresh { users, next } => {
                if let Some(user) = users.get_mut(*next) {
                    user.store_tokens(body);
                }
            }
            Self::SignUp { users, next } => {
                if let Some(user) = users.get_mut(*next) {
                    user.store_tokens(body);
                }
                *next += 1;
            }
            Self::Fetch { .. } | Self::LogIn { .. } | Self::Forged => {}
        }
    }

    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Fetch { pause, .. } if !pause.is_zero() => Some(*pause),
            _ => None,
        }
    }

    /// The users of all connections.
    pub(crate) fn into_users(work: Vec<Self>) -> Vec<User> {
        let users = work.into_iter().flat_map(|work| match work {
            Self::SignUp { users, .. }
            | Self::LogIn { users, .. }
            | Self::Refresh { users, .. } => users,
            Self::Fetch { .. } | Self::Forged => Vec::new(),
        });
        users.collect()
    }
}

impl Outcome {
    /// Responses per second.
    pub(crate) fn rate(&self) -> f64 {
        as_float(self.latencies.len()) / self.elapsed.as_secs_f64()
    }

    /// The latency at this percentile, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let latency = self.latencies.get(last * percent / 100).copied().unwrap_or_default();
        latency.as_secs_f64() * 1_000.0
    }

    /// Fails unless every response had this status, or was 503.
    pub(crate) fn expect(self, status: u16) -> anyhow::Result<Self> {
        if self.statuses.keys().any(|it| ![status, BUSY].contains(it)) || self.statuses.is_empty() {
            bail!("expected only {status}, got {:?}", self.statuses);
        }
        Ok(self)
    }

    fn merge(mut self, other: Self) -> Self {
        self.work.extend(other.work);
        self.latencies.extend(other.latencies);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.busy += other.busy;
        self.elapsed = self.elapsed.max(other.elapsed);
        self
    }
}

/// Runs each item of `work` on its own connection, until no requests are left or `time` has passed.
pub(crate) fn run(address: SocketAddr, work: Vec<Work>, time: Duration) -> anyhow::Result<Outcome> {
    let threads = cores().min(work.len());
    let mut shares: Vec<Vec<Work>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, work) in work.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(index % threads) {
            share.push(work);
        }
    }
    let outcomes: Vec<anyhow::Result<Outcome>> = thread::scope(|scope| {
        let start = |share| scope.spawn(move || run_share(address, share, time));
        let threads: Vec<_> = shares.into_iter().map(start).collect();
        let outcomes = threads.into_iter().map(thread::ScopedJoinHandle::join);
        outcomes.map(|it| it.unwrap_or_else(|_| bail!("a thread of the load panicked"))).collect()
    });
    let mut total = Outcome::default();
    for outcome in outcomes {
        total = total.merge(outcome?);
    }
    total.latencies.sort_unstable();
    Ok(total)
}

fn run_share(address: SocketAddr, work: Vec<Work>, time: Duration) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut connections = Vec::new();
        for work in work {
            let connection = Connection::open(address).await.context("cannot connect")?;
            connections.push((connection, work));
        }
        let spawn = |(connection, work)| tokio::task::spawn_local(repeat(connection, work, time));
        let tasks: Vec<_> = connections.into_iter().map(spawn).collect();
        let mut total = Outcome::default();
        for task in tasks {
            total = total.merge(task.await??);
        }
        Ok(total)
    })
}

async fn repeat(
    mut connection: Connection,
    mut work: Work,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let start = Instant::now();
    let mut sent_at = start;
    while sent_at.duration_since(start) < time {
        let Some(request) = work.next() else { break };
        sent_at = Instant::now();
        let response = connection.exchange(&request).await.context("a request got no response")?;
        *outcome.statuses.entry(response.status).or_default() += 1;
        if response.status == BUSY {
            outcome.busy += 1;
            tokio::time::sleep(BUSY_PAUSE).await;
            continue;
        }
        outcome.latencies.push(sent_at.elapsed());
        work.handle_response(response.body);
        if let Some(pause) = work.pause() {
            tokio::time::sleep(pause).await;
        }
    }
    outcome.elapsed = start.elapsed();
    outcome.work.push(work);
    Ok(outcome)
}

/// Converts a count to a float.
#[expect(clippy::cast_precision_loss, reason = "all counts are far below 2^52")]
pub(crate) fn as_float(count: usize) -> f64 {
    count as f64
}

/// Fetches the key set once.
pub(crate) fn fetch(address: SocketAddr) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        let request = format!("GET {JWKS} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        Ok(connection.exchange(request.as_bytes()).await?.body.to_owned())
    })
}

/// The number of cores that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
