//! Property test: for any sequence of requests, the refresh tokens of a session must behave like a
//! model of decision 3.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::json;
use signet::timestamp::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::harness::{PASSWORD, TestServer, Tokens};

const DAY: Duration = Duration::from_hours(24);
const IDLE: Duration = DAY.saturating_mul(14);
const ABSOLUTE: Duration = DAY.saturating_mul(30);
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
enum Step {
    /// Presents the token that is this many generations older than the client's newest token.
    Present(usize),
    /// Like `Present`, but the client disconnects before it has read the response.
    PresentAndDisconnect(usize),
    LogOut,
    Wait(Duration),
    /// Waits until this long before the newest token expires unused.
    WaitForExpiry(Duration),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let to_window = prop_oneof![Just(0), Just(1)]
        .prop_map(|micros| Step::Wait(WINDOW.saturating_sub(Duration::from_micros(micros))));
    let to_expiry = prop_oneof![Just(0), Just(1)]
        .prop_map(|micros| Step::WaitForExpiry(Duration::from_micros(micros)));
    let step = prop_oneof![
        7 => Just(Step::Present(0)),
        4 => Just(Step::Present(1)),
        2 => (2..4_usize).prop_map(Step::Present),
        3 => (0..2_usize).prop_map(Step::PresentAndDisconnect),
        1 => Just(Step::LogOut),
        4 => (0..12_000_u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        4 => to_window,
        1 => to_expiry,
        1 => Just(Step::Restart),
    ];
    vec(step, 1..=12)
}

/// A model of decision 3 without a database and without tokens.
struct Model {
    newest: usize,
    rotated_at: Option<Timestamp>,
    idle_end: Timestamp,
    absolute_end: Timestamp,
    has_ended: bool,
    reuses: i64,
}

impl Model {
    fn new(now: Timestamp) -> Self {
        Self {
            newest: 0,
            rotated_at: None,
            idle_end: now.plus(IDLE),
            absolute_end: now.plus(ABSOLUTE),
            has_ended: false,
            reuses: 0,
        }
    }

    fn expires_at(&self) -> Timestamp {
        self.idle_end.min(self.absolute_end)
    }

    fn is_active(&self, now: Timestamp) -> bool {
        !self.has_ended && now < self.expires_at()
    }

    /// The generation of the token that is returned for `generation`, unless it is rejected.
    fn present(&mut self, generation: usize, now: Timestamp) -> Option<usize> {
        if !self.is_active(now) {
            return None;
        }
        if generation == self.newest {
            self.newest += 1;
            self.rotated_at = Some(now);
            self.idle_end = now.plus(IDLE);
            return Some(self.newest);
        }
        let is_retry = self.rotated_at.is_some_and(|at| now.since(at) < WINDOW);
        if generation + 1 == self.newest && is_retry {
            return Some(self.newest);
        }
        self.has_ended = true;
        self.reuses += 1;
        None
    }

    fn log_out(&mut self, now: Timestamp) -> bool {
        let was_active = self.is_active(now);
        self.has_ended |= was_active;
        was_active
    }
}

/// The client, with all refresh tokens that it received by generation.
struct Client {
    access_token: String,
    /// The access token expires when its session would have expired without another refresh. Signet
    /// accepts it a little longer, because clocks differ.
    access_token_end: Timestamp,
    refresh_tokens: BTreeMap<usize, String>,
}

impl Client {
    fn new(tokens: Tokens, model: &Model) -> Self {
        Self {
            access_token: tokens.access_token,
            access_token_end: model.expires_at(),
            refresh_tokens: BTreeMap::from([(0, tokens.refresh_token)]),
        }
    }

    /// Whether the access token is accepted as long as the session is active.
    fn has_current_access_token(&self, now: Timestamp) -> bool {
        now.plus(Duration::from_secs(1)) < self.access_token_end
    }

    /// The token `back` generations older than the newest, or else the oldest.
    fn choose(&self, back: usize) -> (usize, &str) {
        let chosen = self.refresh_tokens.iter().rev().take(back + 1).next_back().unwrap();
        (*chosen.0, chosen.1)
    }
}

/// Sends the request, and disconnects when the response starts, because the server has processed
/// the request then. Returns the status.
async fn present_and_disconnect(server: &TestServer, token: &str) -> u16 {
    let body = json!({ "refresh_token": token }).to_string();
    let (client, length) = (server.new_client_address(), body.len());
    let request = format!(
        "POST /api/auth/refresh HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut status_line = [0; 12];
    connection.read_exact(&mut status_line).await.unwrap();
    connection.set_zero_linger().unwrap();
    String::from_utf8_lossy(&status_line).trim_start_matches("HTTP/1.1 ").parse().unwrap()
}

async fn present(
    server: &TestServer,
    model: &mut Model,
    client: &mut Client,
    back: usize,
) -> Result<(), TestCaseError> {
    let (generation, token) = client.choose(back);
    let expected = model.present(generation, server.clock.now());

    let answer = server.refresh(token).await;

    prop_assert_eq!(answer.status, if expected.is_some() { 200 } else { 401 });
    if let Some(expected) = expected {
        let tokens = answer.tokens();
        let known = client.refresh_tokens.entry(expected).or_insert(tokens.refresh_token.clone());
        prop_assert_eq!(&*known, &tokens.refresh_token);
        let seconds_left = model.expires_at().since(server.clock.now()).as_secs();
        prop_assert_eq!(&answer.json()["refresh_token_expires_in"], &json!(seconds_left));
        client.access_token = tokens.access_token;
        client.access_token_end = model.expires_at();
    }
    Ok(())
}

async fn perform(
    step: Step,
    server: &mut Option<TestServer>,
    model: &mut Model,
    client: &mut Client,
) -> Result<(), TestCaseError> {
    let running = server.as_ref().unwrap();
    let now = running.clock.now();
    match step {
        Step::Present(back) => present(running, model, client, back).await?,
        Step::PresentAndDisconnect(back) => {
            let (generation, token) = client.choose(back);
            let expected = if model.present(generation, now).is_some() { 200 } else { 401 };
            prop_assert_eq!(present_and_disconnect(running, token).await, expected);
        }
        // A client without a current access token cannot log out.
        Step::LogOut if !client.has_current_access_token(now) => {}
        Step::LogOut => {
            let expected = if model.log_out(now) { 200 } else { 401 };
            prop_assert_eq!(running.log_out(&client.access_token).await.status, expected);
        }
        Step::Wait(time) => running.clock.advance(time),
        Step::WaitForExpiry(before) => {
            running.clock.advance(model.expires_at().minus(before).since(now));
        }
        Step::Restart => {
            let stopped = server.take().unwrap();
            *server = Some(stopped.restart().await);
        }
    }
    Ok(())
}

/// Performs the steps in a new session, and compares the server with the model after each step.
async fn run(server: &Mutex<Option<TestServer>>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut guard = server.lock().await;
    let running = guard.as_ref().unwrap();
    let reuses = "auth_event WHERE type = 'token_reuse'";
    let reuses_before = running.database.count(reuses).await;
    let tokens = running.log_in("ada@example.test", PASSWORD).await.tokens();
    let mut model = Model::new(running.clock.now());
    let mut client = Client::new(tokens, &model);

    for step in steps {
        perform(step, &mut guard, &mut model, &mut client).await?;
        let running = guard.as_ref().unwrap();
        let now = running.clock.now();
        let is_active = model.is_active(now);
        if !is_active || client.has_current_access_token(now) {
            let status = running.me(&client.access_token).await.status;
            prop_assert_eq!(status, if is_active { 200 } else { 401 });
        }
    }
    let running = guard.as_ref().unwrap();
    prop_assert_eq!(running.database.count(reuses).await - reuses_before, model.reuses);
    prop_assert!(running.get("/livez").await.status == 200);
    Ok(())
}

/// RF-01 to RF-06, RF-10, AT-01: each case opens a new session on the same server.
#[test]
fn refresh_sequences_match_the_rotation_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let server = TestServer::with(|config| {
            // Access tokens are valid for the maximum lifetime of a session.
            config.tokens.access_token_seconds = ABSOLUTE.as_secs();
            config.keys.key_rotation_seconds = 0;
            config.limits.account_attempts_per_minute = 1_000;
        })
        .await;
        server.sign_up("ada@example.test").await.expect_status(201);
        Mutex::new(Some(server))
    });
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };

    let result =
        TestRunner::new(config).run(&steps(), |steps| runtime.block_on(run(&server, steps)));

    runtime.block_on(async { drop(server.lock().await.take()) });
    result.unwrap_or_else(|error| panic!("{error}"));
}
