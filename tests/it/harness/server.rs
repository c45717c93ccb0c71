//! A server per test, in this process, on a port that the system chooses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use signet::clock::{Clock, ManualClock};
use signet::config::Config;
use signet::server::Server;
use signet::timestamp::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::harness::{Answer, Program, TestDatabase};

/// A password that every policy accepts.
pub const PASSWORD: &str = "Analytical-Engine-1843";

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    config: Config,
}

/// A running server that trusts `X-Forwarded-For` from the test. Every request made through
/// [`TestServer::post`] has a new client address, so that rate limits affect only tests of rate
/// limits.
pub struct TestServer {
    pub clock: ManualClock,
    pub config: Config,
    pub address: SocketAddr,
    pub database: Arc<TestDatabase>,
    pub http: reqwest::Client,
    next_client_address: AtomicU32,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl TestServer {
    /// A server with default settings.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with settings modified by `change`.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let database = Arc::new(TestDatabase::create().await);
        let clock = ManualClock::starting_at(now());
        let mut config = config_for(&database);
        change(&mut config);
        Self::run(database, clock, config).await
    }

    /// A server with default settings on a prepared database.
    pub async fn start_on(database: TestDatabase) -> Self {
        let config = config_for(&database);
        Self::run(Arc::new(database), ManualClock::starting_at(now()), config).await
    }

    /// Starts two instances concurrently on an empty database.
    pub async fn start_two_concurrently() -> (Self, Self) {
        let database = Arc::new(TestDatabase::create().await);
        let clock = ManualClock::starting_at(now());
        let config = config_for(&database);
        let run = || tokio::spawn(Self::run(Arc::clone(&database), clock.clone(), config.clone()));
        let (one, other) = (run(), run());
        (one.await.unwrap(), other.await.unwrap())
    }

    /// A second instance on the same database, with the same clock and settings.
    pub async fn another_instance(&self) -> Self {
        self.another_instance_with(self.config.clone()).await
    }

    /// A second instance on the same database with other settings.
    pub async fn another_instance_with(&self, config: Config) -> Self {
        Self::run(Arc::clone(&self.database), self.clock.clone(), config).await
    }

    /// Restarts the server, which loses its in-memory state.
    pub async fn restart(mut self) -> Self {
        self.stop_cleanly().await;
        let mut config = self.config.clone();
        config.service.listen.set_port(0);
        Self::run(Arc::clone(&self.database), self.clock.clone(), config).await
    }

    async fn run(database: Arc<TestDatabase>, clock: ManualClock, config: Config) -> Self {
        let server = Server::bind(config.clone(), Clock::Manual(clock.clone())).await;
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let serving = async { drop(server.run_until(async { drop(stopped.await) }).await) };
        let serving = Some(tokio::spawn(serving));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let next_client_address = AtomicU32::new(0);
        Self {
            clock,
            config,
            address,
            database,
            http,
            next_client_address,
            stop: Some(stop),
            serving,
        }
    }

    /// Signals the server to stop; does not wait for it.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Signals the server to stop, and waits until it has stopped.
    pub async fn stop_cleanly(&mut self) {
        self.stop();
        if let Some(serving) = self.serving.take() {
            // Idle connections must not delay the shutdown.
            self.http = reqwest::Client::builder().no_proxy().build().unwrap();
            serving.await.unwrap();
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request from this test's loopback address.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// A client address in 100.0.0.0/8 that this test has not used yet.
    pub fn new_client_address(&self) -> String {
        let [_, a, b, c] =
            (self.next_client_address.fetch_add(1, Ordering::SeqCst) + 1).to_be_bytes();
        format!("100.{a}.{b}.{c}")
    }

    /// POSTs JSON from a new client address.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_from(&self.new_client_address(), path, body).await
    }

    /// POSTs JSON from the given client address.
    pub async fn post_from(&self, client: &str, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header("x-forwarded-for", client);
        Answer::of(request.json(body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn sign_up(&self, email: &str) -> Answer {
        self.post("/api/auth/signup", &json!({ "email": email, "password": PASSWORD })).await
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post("/api/auth/login", &json!({ "email": email, "password": password })).await
    }

    /// A login attempt from the given client address.
    pub async fn log_in_from(&self, client: &str, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post_from(client, "/api/auth/login", &body).await
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/api/auth/refresh", &json!({ "refresh_token": refresh_token })).await
    }

    pub async fn refresh_from(&self, client: &str, refresh_token: &str) -> Answer {
        let body = json!({ "refresh_token": refresh_token });
        self.post_from(client, "/api/auth/refresh", &body).await
    }

    pub async fn me(&self, access_token: &str) -> Answer {
        Answer::of(self.request(Method::GET, "/api/auth/me").bearer_auth(access_token)).await
    }

    pub async fn log_out(&self, access_token: &str) -> Answer {
        Answer::of(self.request(Method::POST, "/api/auth/logout").bearer_auth(access_token)).await
    }

    /// Creates a password reset token with the command. The command may wait for a transaction of
    /// the server, which runs in this process, so this must not block.
    pub async fn reset_token(&self, email: &str) -> String {
        let output = Program::new(&self.database).run(&["account", "reset-password", email]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The published key set.
    pub async fn jwks(&self) -> Value {
        self.get("/.well-known/jwks.json").await.json()
    }

    /// The claims of a token, unverified.
    pub fn claims(token: &str) -> Value {
        Self::part(token, 1)
    }

    /// The `typ` header of a JWT.
    pub fn typ(token: &str) -> Value {
        Self::part(token, 0)["typ"].clone()
    }

    fn part(token: &str, number: usize) -> Value {
        use base64::Engine;
        let part = token.split('.').nth(number).unwrap();
        let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&json).unwrap()
    }

    /// Records an outage from `began` to `ended`, in seconds relative to this server's clock.
    pub async fn record_outage(&self, began: i64, ended: i64) {
        let now = self.clock.now().as_micros();
        let instance = if self.database.is_postgres() {
            "'00000000-0000-0000-0000-000000000000'"
        } else {
            "zeroblob(16)"
        };
        let (began, ended) = (now + began * 1_000_000, now + ended * 1_000_000);
        let sql = format!(
            "INSERT INTO outage (instance_id, began_at, ended_at) VALUES ({instance}, {began}, {ended})"
        );
        self.database.execute(&sql).await;
    }

    /// Advances this server's clock by milliseconds.
    pub fn advance_millis(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Advances this server's clock by seconds.
    pub fn advance_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Default settings with a free port and the test as a trusted proxy.
fn config_for(database: &TestDatabase) -> Config {
    let arguments = [
        "signet".to_owned(),
        format!("--database-url={}", database.url()),
        format!("--master-key-file={}", database.master_key_file().display()),
        "--listen=127.0.0.1:0".to_owned(),
        "--issuer=https://id.example.test".to_owned(),
        "--audience=https://api.example.test".to_owned(),
        "--trusted-proxies=127.0.0.1".to_owned(),
        // Tests advance the clock past the publication time, and no verifier caches the key set.
        "--dangerously-short-key-publication=true".to_owned(),
        // The server must not reject logins as overload while the machine runs other tests.
        "--hash-backlog-seconds=60".to_owned(),
    ];
    Settings::parse_from(arguments).config
}

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the test's clock starts at the present")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(now.as_secs()).unwrap() * 1_000_000)
}
