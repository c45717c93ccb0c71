//! Load generator. Each connection sends its next request when it has received the response to the
//! previous one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::client::Connection;
use crate::users::{self, User};

/// The status of requests that the server refuses temporarily. The client may retry them.
const BUSY: &str = "503";

/// The pause of a client after a failure. It is shorter than any `Retry-After`, so that the load
/// does not drop.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// How long a client waits for a response. Signet answers earlier, even if it refuses.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

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
    /// A refresh for each user in turn, or a login if the user has lost the token.
    Refresh { users: Vec<User>, next: usize },
    /// A userinfo request for each user in turn.
    UserInfo { users: Vec<User>, next: usize },
    /// Refreshes with forged tokens.
    Forged,
}

/// Failed requests: how often each unsuccessful status or error of the connection occurred.
pub(crate) type Failures = BTreeMap<String, u64>;

/// The results of a load.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The work of all connections, which a later run can continue.
    pub(crate) work: Vec<Work>,
    /// Latencies of the successful responses, sorted. Rates exclude failures, too.
    pub(crate) latencies: Vec<Duration>,
    /// How often each unsuccessful status or error of the connection occurred.
    pub(crate) failures: Failures,
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
                let user = users.get_mut(*next)?;
                Some(if user.refresh_token.is_empty() { user.log_in() } else { user.refresh() })
            }
            Self::UserInfo { users, next } => {
                *next = (*next + 1) % users.len();
                users.get_mut(*next).map(User::user_info)
            }
            Self::Forged => Some(users::forged_refresh()),
        }
    }

    /// The status of a successful response.
    fn success(&self) -> u16 {
        match self {
            Self::SignUp { .. } => 201,
            Self::Forged => 401,
            Self::Fetch { .. }
            | Self::LogIn { .. }
            | Self::Refresh { .. }
            | Self::UserInfo { .. } => 200,
        }
    }

    /// Stores the tokens of a successful response. Returns whether the request counts as part of
    /// the load. A login that replaces the lost token of a user does not count.
    fn handle_success(&mut self, body: &str) -> bool {
        match self {
            Self::Refresh { users, next } => {
                let Some(user) = users.get_mut(*next) else { return true };
                let had_token = !user.refresh_token.is_empty();
                user.store_tokens(body);
                had_token
            }
            Self::SignUp { users, next } => {
                if let Some(user) = users.get_mut(*next) {
                    user.store_tokens(body);
                }
                *next += 1;
                true
            }
            Self::Fetch { .. } | Self::LogIn { .. } | Self::UserInfo { .. } | Self::Forged => true,
        }
    }

    /// Gives up the refresh token or the sign-up of a failed request. A refresh token that was
    /// refused, or whose successor was lost, cannot be used again. A sign-up whose response was
    /// lost cannot be repeated.
    fn handle_failure(&mut self) {
        match self {
            Self::Refresh { users, next } => {
                if let Some(user) = users.get_mut(*next) {
                    user.refresh_token.clear();
                }
            }
            Self::SignUp { next, .. } => *next += 1,
            Self::Fetch { .. } | Self::LogIn { .. } | Self::UserInfo { .. } | Self::Forged => {}
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
            | Self::Refresh { users, .. }
            | Self::UserInfo { users, .. } => users,
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

    /// The number of failed requests.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    fn merge(mut self, other: Self) -> Self {
        self.work.extend(other.work);
        self.latencies.extend(other.latencies);
        add_failures(&mut self.failures, &other.failures);
        self.elapsed = self.elapsed.max(other.elapsed);
        self
    }
}

/// Adds the counts of `more` to those of `failures`.
pub(crate) fn add_failures(failures: &mut Failures, more: &Failures) {
    for (cause, count) in more {
        *failures.entry(cause.clone()).or_default() += count;
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
            // All connections are opened before the first request. A connection that cannot be
            // opened now is opened for its first request.
            connections.push((Connection::open(address).await.ok(), work));
        }
        let spawn = |(connection, work)| {
            tokio::task::spawn_local(repeat(Client { address, connection }, work, time))
        };
        let tasks: Vec<_> = connections.into_iter().map(spawn).collect();
        let mut total = Outcome::default();
        for task in tasks {
            total = total.merge(task.await?);
        }
        Ok(total)
    })
}

/// A client that connects again after an error.
struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    /// Sends a request, and passes the status and the body of the response to `handle`.
    ///
    /// # Errors
    /// The cause, if no response arrives.
    async fn exchange<R>(
        &mut self,
        request: &[u8],
        handle: impl FnOnce(u16, &str) -> R,
    ) -> Result<R, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                Connection::open(self.address).await.map_err(|error| error.kind().to_string())?
            }
        };
        let response = tokio::time::timeout(LONGEST_WAIT, connection.exchange(request)).await;
        let response = response.map_err(|_| "no response within a minute".to_owned())?;
        let response = response.map_err(|error| error.kind().to_string())?;
        let handled = handle(response.status, response.body);
        self.connection = Some(connection);
        Ok(handled)
    }
}

async fn repeat(mut client: Client, mut work: Work, time: Duration) -> Outcome {
    let mut outcome = Outcome::default();
    let start = Instant::now();
    let mut sent_at = start;
    while sent_at.duration_since(start) < time {
        let Some(request) = work.next() else { break };
        sent_at = Instant::now();
        let handle = |status, body: &str| {
            let latency = sent_at.elapsed();
            if status == work.success() {
                Ok(work.handle_success(body).then_some(latency))
            } else {
                Err(status)
            }
        };
        let cause = match client.exchange(&request, handle).await {
            Ok(Ok(latency)) => {
                outcome.latencies.extend(latency);
                outcome.elapsed = start.elapsed();
                if let Some(pause) = work.pause() {
                    tokio::time::sleep(pause).await;
                }
                continue;
            }
            Ok(Err(status)) => status.to_string(),
            Err(cause) => cause,
        };
        outcome.elapsed = start.elapsed();
        // A refusal changed nothing, so the refresh token or the sign-up can still be used.
        if cause != BUSY {
            work.handle_failure();
        }
        *outcome.failures.entry(cause).or_default() += 1;
        tokio::time::sleep(PAUSE).await;
    }
    outcome.work.push(work);
    outcome
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
