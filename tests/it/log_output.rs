//! If log lines are lost, the server is not affected in any other way.

use std::fs::File;
use std::io::{PipeReader, Read, pipe};
use std::time::{Duration, Instant};

use futures_util::future::join;
use reqwest::Client;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Answer, PASSWORD, Program, ServerProcess, TestDatabase, eventually};

/// Timeout for a request, and for the exit.
const TIMEOUT: Duration = Duration::from_secs(15);

struct LoggingServer {
    serving: ServerProcess,
    http: Client,
    database: TestDatabase,
}

impl LoggingServer {
    /// A server that logs to a pipe, including standard error.
    async fn to_pipe(level: &str) -> (Self, PipeReader) {
        let (reader, writer) = pipe().unwrap();
        let database = TestDatabase::create().await;
        let program = Program::new(&database).with("SIGNET_LOG", level);
        let program = program.with("SIGNET_LOG_FORMAT", "json");
        let serving = program.serve_with_output(writer.try_clone().unwrap(), writer).await;
        (Self::of(serving, database), reader)
    }

    fn of(serving: ServerProcess, database: TestDatabase) -> Self {
        let http = Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
        Self { serving, http, database }
    }

    /// Sends a request that is logged.
    async fn send_request(&self) {
        let answer = Answer::of(self.http.get(self.serving.url("/api/auth/me"))).await;
        answer.expect_status(401);
    }

    /// Sends many pipelined requests.
    async fn send_requests(&self, times: usize) {
        let mut connection = TcpStream::connect(self.serving.address).await.unwrap();
        let (mut answers, mut requests) = connection.split();
        let request = "GET /api/auth/me HTTP/1.1\r\nhost: x\r\n\r\n";
        let last = "GET /api/auth/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let all = request.repeat(times - 1) + last;
        let mut answer = String::new();
        let sending = requests.write_all(all.as_bytes());
        let asking = join(sending, answers.read_to_string(&mut answer));
        let (sent, read) = timeout(TIMEOUT, asking).await.expect("a response to each request");
        sent.unwrap();
        read.unwrap();
        assert_eq!(answer.matches("HTTP/1.1 401").count(), times);
    }

    async fn readiness(&self) -> Value {
        let answer = Answer::of(self.http.get(self.serving.url("/readyz"))).await;
        answer.expect_status(200);
        answer.json()
    }

    async fn lost_lines(&self) -> u64 {
        self.readiness().await["lost_log_lines"].as_u64().unwrap()
    }

    /// Asserts that the server works, and that it exits successfully and in time.
    async fn assert_works_and_exits_cleanly(self) {
        let body = json!({ "email": "ada@example.test", "password": PASSWORD });
        for (path, status) in [("/api/auth/signup", 201), ("/api/auth/login", 200)] {
            let request = self.http.post(self.serving.url(path)).json(&body);
            Answer::of(request).await.expect_status(status);
        }
        for _ in 0..50 {
            self.send_request().await;
        }
        for path in ["/livez", "/.well-known/jwks.json", "/login"] {
            Answer::of(self.http.get(self.serving.url(path))).await.expect_status(200);
        }
        assert_eq!(self.readiness().await["status"], "ready");
        let started = Instant::now();

        let (status, _) = self.serving.stop_with(Signal::TERM).await;

        assert_eq!(status.code(), Some(0));
        assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    }
}

/// A1: the reader of the log may exit, as in `signet serve 2>&1 | head`.
#[tokio::test]
async fn closed_log_pipe_loses_only_log_lines() {
    let (server, reader) = LoggingServer::to_pipe("info").await;
    assert_eq!(server.lost_lines().await, 0);
    drop(reader);

    for _ in 0..10 {
        server.send_request().await;
    }

    eventually("each line is counted", async || server.lost_lines().await == 10).await;
    let doctor = Program::new(&server.database).run(&["doctor", &server.serving.url("")]).await;
    let message = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        message.contains("Signet has lost 1") && message.contains("log lines since its start"),
        "{message}"
    );
    server.assert_works_and_exits_cleanly().await;
}

/// A1: the disk for logs is full.
#[tokio::test]
async fn full_log_disk_loses_only_log_lines() {
    let database = TestDatabase::create().await;
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let serving = Program::new(&database).serve_with_output(full(), full()).await;
    let server = LoggingServer::of(serving, database);

    eventually("the lines of the start are counted", async || server.lost_lines().await > 0).await;
    server.assert_works_and_exits_cleanly().await;
}

/// A2: the reader of the log does not read. The pipe holds about 200 lines.
#[tokio::test]
async fn blocked_log_reader_does_not_block_the_server() {
    let (server, reader) = LoggingServer::to_pipe("info").await;

    for _ in 0..400 {
        server.send_request().await;
    }

    assert_eq!(server.lost_lines().await, 0, "the queue is not full");
    server.assert_works_and_exits_cleanly().await;
    drop(reader);
}

/// A2: the number of lost lines is logged once lines are read again.
#[tokio::test]
async fn lost_lines_are_counted_once_the_log_is_read_again() {
    let (server, mut reader) = LoggingServer::to_pipe("info").await;
    for _ in 0..20 {
        server.send_requests(1_000).await;
        if server.lost_lines().await > 0 {
            break;
        }
    }
    assert!(server.lost_lines().await > 0);
    server.send_request().await;

    let (send, mut received) = tokio::sync::mpsc::unbounded_channel();
    let reading = std::thread::spawn(move || {
        let (mut all, mut part) = (Vec::new(), vec![0; 65_536]);
        while let Ok(length @ 1..) = reader.read(&mut part) {
            all.extend_from_slice(&part[..length]);
            let _ = send.send(length);
        }
        String::from_utf8(all).unwrap()
    });
    // Wait until the queue has been read completely.
    while let Ok(Some(_)) = timeout(Duration::from_secs(1), received.recv()).await {}
    let total = server.lost_lines().await;
    let (status, _) = server.serving.stop_with(Signal::TERM).await;
    let text = reading.join().unwrap();

    assert_eq!(status.code(), Some(0));
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let reports: Vec<_> = lines.iter().filter(|line| line.get("total").is_some()).collect();
    assert_eq!(reports.last().unwrap()["total"], total, "{reports:?}");
    let message = reports[0]["message"].as_str().unwrap();
    assert!(message.contains("log lines were lost"), "{message}");
    assert_eq!(reports[0]["level"], "WARN");
    assert_eq!(lines.last().unwrap()["message"], "server stopped", "all lines were flushed");
}

/// C2: the reason for the rejection of a client is logged. The response contains the reason unless
/// it is secret.
#[tokio::test]
async fn rejection_reason_is_logged_and_returned_unless_secret() {
    let (server, mut log) = LoggingServer::to_pipe("info").await;
    let create = "client create web --redirect-uri https://rp.example/cb --auth-method none";
    let program = Program::new(&server.database);
    let created = program.run(&create.split(' ').collect::<Vec<_>>()).await;
    assert!(created.status.success(), "{created:?}");
    let confidential =
        "client create job --grant client_credentials --auth-method client_secret_basic";
    let created = program.run(&confidential.split(' ').collect::<Vec<_>>()).await;
    assert!(created.status.success(), "{created:?}");
    let send_request = async |authorization: Option<&str>, body: &str| {
        let mut request =
            server.http.post(server.serving.url("/oauth2/token")).body(body.to_owned());
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = Answer::of(request).await;
        answer.expect_oauth_error(401, "invalid_client");
        answer.text("error_description")
    };
    let grant = "grant_type=client_credentials";

    for (authorization, body, message) in [
        (Some("Bearer x"), "grant_type=refresh_token&client_id=web", "another scheme than Basic"),
        (Some("Basic !"), grant, "is not Basic with the base64"),
        (Some("Basic d2Vi"), grant, "is not Basic with the base64"),
        (None, grant, "neither Authorization nor client_id"),
    ] {
        assert!(send_request(authorization, body).await.contains(message), "{message}");
    }
    for body in
        ["client_id=job&client_secret=x", "client_id=nobody", "client_id=job", "client_id=a%20b"]
    {
        assert_eq!(
            send_request(None, &format!("{grant}&{body}")).await,
            "client authentication failed"
        );
    }
    send_request(Some("Basic am9iOng="), grant).await;
    server.serving.stop_with(Signal::TERM).await;
    let mut written = String::new();
    log.read_to_string(&mut written).unwrap();

    let refusals = |why: &str| {
        let lines = written.lines().filter(|line| line.contains("a client was refused"));
        lines.filter(|line| line.contains(why)).count()
    };
    for (why, times) in [
        ("another scheme than Basic", 1),
        ("is not Basic with the base64", 2),
        ("neither Authorization nor client_id", 1),
        ("another method", 2),
        ("no client has this id", 1),
        ("no client is named", 1),
        ("the secret is wrong", 1),
    ] {
        assert_eq!(refusals(why), times, "{why}: {written}");
    }
}

/// D12, D2: a line has one span, a duration with a precision of microseconds, the name of the
/// operation, and the reason of a failed login.
#[tokio::test]
async fn request_log_lines_name_the_operation_and_the_reason() {
    let (server, mut reader) = LoggingServer::to_pipe("info").await;
    server.send_request().await;
    let body = json!({ "email": "nobody@example.test", "password": PASSWORD });
    let request = server.http.post(server.serving.url("/api/auth/login")).json(&body);
    Answer::of(request).await.expect_status(401);
    let missing = server.http.get(server.serving.url("/api/auth/nothing"));
    Answer::of(missing).await.expect_status(404);

    server.serving.stop_with(Signal::TERM).await;

    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<_> = lines.filter(|line| line.get("span").is_some()).collect();
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let expected =
        ["getMe -> 401", "login refused: unknown_account", "logIn -> 401", "unmatched -> 404"];
    assert_eq!(messages, expected);
    for line in &lines {
        assert!(line.get("spans").is_none(), "{line}");
        assert_eq!(line["span"]["name"], "request");
        if let Some(duration) = line.get("duration_ms") {
            assert!(duration.to_string().len() <= "1234.567".len(), "{duration}");
        }
    }
    assert_eq!(
        (&lines[1]["cause"], &lines[1]["client.address"]),
        (&"unknown_account".into(), &"127.0.0.1".into())
    );
    assert!(!text.contains("nobody@example.test"));
}
