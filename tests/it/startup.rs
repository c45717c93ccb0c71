//! Start and stop of the server, and rejection of unsafe or ambiguous configurations.

use std::fs::{Permissions, read_dir, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, PASSWORD, Program, ServerProcess, TestDatabase, eventually};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// All paths below `directory`.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let children: Vec<_> =
        read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let below = children.iter().filter(|path| path.is_dir()).flat_map(|path| entries(path));
    children.iter().cloned().chain(below).collect()
}

async fn post(serving: &ServerProcess, path: &str, body: &serde_json::Value) -> Answer {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Answer::of(http.post(serving.url(path)).json(body)).await
}

/// OP-01, OP-08: without settings, the server listens on loopback, and its files are private.
#[tokio::test]
async fn default_start_listens_on_loopback_and_creates_private_files() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");

    let serving = program.serve().await;
    let body = json!({ "email": "ada@example.test", "password": PASSWORD });
    post(&serving, "/api/auth/signup", &body).await.expect_status(201);

    let created = entries(directory.path());
    let names: Vec<_> =
        created.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["signet.db", "signet.db-wal", "signet.db-shm", "master.key"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for path in &created {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), expected, "{}", path.display());
    }
    assert!(serving.address.ip().is_loopback());
}

/// OP-01: any permission of other users or of the group prevents the start.
#[tokio::test]
async fn database_file_readable_by_others_prevents_the_start() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");
    program.serve().await.stop_with(Signal::TERM).await;
    let file = directory.path().join("data/signet.db");

    for exposed in [0o644, 0o640, 0o604, 0o620] {
        set_permissions(&file, Permissions::from_mode(exposed)).unwrap();
        let before = std::fs::read(&file).unwrap();

        let message = program.startup_error().await;

        assert!(message.contains("data/signet.db") && message.contains("chmod 600"), "{message}");
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
    set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    program.serve().await;
}

/// OP-05: a misspelt setting is an error for every command.
#[tokio::test]
async fn unknown_setting_is_rejected_and_named() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path())
        .with("SIGNET_LISTEN", "127.0.0.1:0")
        .with("SIGNET_ISSUR", "https://id.example.test");

    for command in [&["serve"][..], &[], &["migrate", "up"], &["keys", "list"]] {
        let output = program.run(command).await;

        assert!(!output.status.success(), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("SIGNET_ISSUR"));
    }
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");
    std::fs::write(directory.path().join(".env"), "SIGNET_ACCESS_TOKEN_SECOND=60\n").unwrap();
    assert!(program.startup_error().await.contains("SIGNET_ACCESS_TOKEN_SECOND"));
}

/// OP-05, HP-02: invalid values are errors.
#[tokio::test]
async fn invalid_setting_is_rejected_and_named() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");

    for (variable, value) in [
        ("SIGNET_LISTEN", "nowhere"),
        ("SIGNET_LISTEN", ":8080"),
        ("SIGNET_LISTEN", "localhost"),
        ("SIGNET_DATABASE_URL", ""),
        ("SIGNET_MASTER_KEY_FILE", ""),
        ("SIGNET_STATE_FILE", ""),
        ("SIGNET_ISSUER", "http://id.example.test"),
        ("SIGNET_ISSUER", "https://id.example.test/"),
        ("SIGNET_ISSUER", "https://id.example.test?x=1"),
        ("SIGNET_ISSUER", "https://id.example.test#x"),
        ("SIGNET_ISSUER", "https://user@id.example.test"),
        ("SIGNET_ISSUER", "https://:secret@id.example.test"),
        ("SIGNET_ISSUER", "https://@id.example.test"),
        ("SIGNET_ISSUER", "HTTPS://id.example.test"),
        ("SIGNET_ISSUER", "https://ID.example.test"),
        ("SIGNET_ISSUER", "https:id.example.test"),
        ("SIGNET_ISSUER", "https:\\\\id.example.test"),
        ("SIGNET_ISSUER", "https://id.exa\tmple.test"),
        ("SIGNET_ISSUER", " https://id.example.test"),
        ("SIGNET_ISSUER", "https://id.example.test:443"),
        ("SIGNET_ISSUER", "https://id.example.test/a/../b"),
        ("SIGNET_ISSUER", "https://"),
        ("SIGNET_ISSUER", ""),
        ("SIGNET_AUDIENCE", "two words"),
        ("SIGNET_CORS_ORIGINS", "*"),
        ("SIGNET_CORS_ORIGINS", "null"),
        ("SIGNET_CORS_ORIGINS", "https://app.example.test/"),
        ("SIGNET_CORS_ORIGINS", "http://localhost:3000, https://APP.example.test"),
        ("SIGNET_CORS_ORIGINS", "https://app.example.test:443"),
        ("SIGNET_TRUSTED_PROXIES", "0.0.0.0/0"),
        ("SIGNET_TRUSTED_PROXIES", "::/0"),
        ("SIGNET_TRUSTED_PROXIES", "*"),
        ("SIGNET_TRUSTED_PROXIES", "10.0.0.0/8; 192.168.0.0/16"),
        ("SIGNET_TRUSTED_PROXIES", "::ffff:0.0.0.0/96"),
        ("SIGNET_DATABASE_URL", "sqlite::memory:"),
        ("SIGNET_DATABASE_URL", "mysql://root:hunter2@localhost/signet"),
        ("SIGNET_RSA_BITS", "1024"),
        ("SIGNET_JWKS_MAX_AGE_SECONDS", "0"),
        ("SIGNET_ACCESS_TOKEN_SECONDS", "-1"),
        ("SIGNET_ACCESS_TOKEN_SECONDS", "1h"),
        ("SIGNET_REFRESH_TOKEN_SECONDS", "0"),
        ("SIGNET_REFRESH_RETRY_SECONDS", "61"),
        ("SIGNET_PASSWORD_POLICY", "none"),
        ("SIGNET_ARGON2_MEMORY_KIB", "8"),
        ("SIGNET_ARGON2_ITERATIONS", "1"),
        ("SIGNET_ATTEMPTS_PER_MINUTE", "0"),
        ("SIGNET_LOG", "a=b=c"),
        ("SIGNET_LOG_FORMAT", "xml"),
    ] {
        let message = program.clone().with(variable, value).startup_error().await;

        assert!(message.contains(variable), "{variable}={value}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

/// Lists may be separated by commas. Compose passes an empty value for `${X:-}`, which counts as
/// unset.
#[tokio::test]
async fn list_settings_accept_commas_and_empty_settings_count_as_unset() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");

    for (variable, value) in [
        ("SIGNET_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.0.0/16,\n\t::ffff:127.0.0.0/104 ,"),
        ("SIGNET_TRUSTED_PROXIES", " "),
        ("SIGNET_CORS_ORIGINS", "http://localhost:3000 https://app.example.test\n"),
        ("SIGNET_CORS_ORIGINS", ""),
        ("SIGNET_LISTEN", "localhost:0"),
        ("SIGNET_RSA_BITS", ""),
        ("SIGNET_AUDIENCE", ""),
        ("SIGNET_PASSWORD_POLICY", ""),
        ("SIGNET_LOG", ""),
        ("SIGNET_MAX_CONNECTIONS_PER_CLIENT", ""),
    ] {
        let serving = program.clone().with(variable, value).serve().await;

        assert!(serving.address.ip().is_loopback(), "{variable}={value}");
        serving.stop_with(Signal::TERM).await;
    }
}

/// The message suggests the correct spelling if there is one.
#[tokio::test]
async fn misspelt_origin_or_address_is_rejected_with_a_suggestion() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");

    for (variable, value, right) in [
        ("SIGNET_CORS_ORIGINS", "https://APP.example.test", "as https://app.example.test"),
        ("SIGNET_CORS_ORIGINS", "https://app.example.test:443", "as https://app.example.test"),
        ("SIGNET_CORS_ORIGINS", "https://app.example.test/", "as https://app.example.test"),
        ("SIGNET_LISTEN", ":8080", "0.0.0.0:8080 for all"),
        ("SIGNET_LISTEN", "example.test:81", "127.0.0.1:81 for this host"),
    ] {
        let message = program.clone().with(variable, value).startup_error().await;

        assert!(message.contains(right), "{variable}={value}: {message}");
    }
}

/// A `$` in `.env` starts a variable, so `Pa$$w0rd` would become `Pa`.
#[tokio::test]
async fn dollar_sign_in_dotenv_is_rejected_where_it_would_be_expanded() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");
    let dotenv = directory.path().join(".env");

    std::fs::write(&dotenv, "# $\nSIGNET_AUDIENCE=https://x.test/Pa$$w0rd\n").unwrap();
    let message = program.startup_error().await;
    assert!(message.contains("line 2 of .env has a $"), "{message}");
    assert!(!message.contains("w0rd"), "{message}");
    std::fs::write(&dotenv, "SIGNET_AUDIENCE='https://x.test/Pa$$w0rd'\n").unwrap();
    program.serve().await.stop_with(Signal::TERM).await;
}

/// A mistyped path creates no database. The error of an unreachable PostgreSQL server is reported
/// once.
#[tokio::test]
async fn unreachable_database_is_named_in_the_error() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", "127.0.0.1:0");
    let mistyped = program.clone().with("SIGNET_DATABASE_URL", "sqlite:dta/signet.db");
    let unreachable =
        program.with("SIGNET_DATABASE_URL", "postgres://signet:hunter2@127.0.0.1:1/signet");

    let message = mistyped.startup_error().await;
    assert!(
        message.contains("the folder dta") && message.contains("SIGNET_DATABASE_URL"),
        "{message}"
    );
    let message = unreachable.startup_error().await;
    assert!(!message.contains("hunter2") && !message.contains("pool timed out"), "{message}");
    assert_eq!(message.to_lowercase().matches("connection refused").count(), 1, "{message}");
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

/// A command that reads or modifies a database does not create one. If it is run in a wrong
/// directory, an empty database would look like data loss.
#[tokio::test]
async fn command_in_a_wrong_directory_creates_no_database() {
    let directory = TempDir::new().unwrap();
    let program = Program::without_settings(directory.path());

    for command in [
        &["migrate", "status"][..],
        &["migrate", "down"],
        &["keys", "list"],
        &["keys", "export-public"],
        &["keys", "revoke", "x", "--now"],
        &["keys", "reseal"],
        &["account", "reset-password", "ada@example.test"],
    ] {
        let output = program.run(command).await;

        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {message}");
        assert!(message.contains("no database file data/signet.db"), "{command:?}: {message}");
        assert!(message.contains("SIGNET_DATABASE_URL"), "{command:?}: {message}");
    }
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

/// OP-08: a public listen address needs an issuer.
#[tokio::test]
async fn public_listen_address_without_an_issuer_is_rejected() {
    let directory = TempDir::new().unwrap();

    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let program = Program::without_settings(directory.path()).with("SIGNET_LISTEN", address);

        let message = program.startup_error().await;

        assert!(
            message.contains("SIGNET_ISSUER") && message.contains("SIGNET_LISTEN"),
            "{message}"
        );
    }
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

/// F13: after SIGTERM, requests in progress complete, and no new connections are accepted.
#[tokio::test]
async fn sigterm_completes_requests_in_flight_and_exits_with_0() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database)
        .with("SIGNET_ATTEMPTS_PER_MINUTE", "1000")
        .with("SIGNET_HASH_BACKLOG_SECONDS", "60")
        .with("SIGNET_DRAIN_SECONDS", "60");
    let serving = program.serve().await;
    let mut connections = Vec::new();
    for index in 0..8 {
        let body = json!({ "email": format!("ada{index}@example.test"), "password": PASSWORD });
        let body = body.to_string();
        let request = format!(
            "POST /api/auth/signup HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(serving.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    let idle = TcpStream::connect(serving.address).await.unwrap();
    // Connections are accepted in order, so after this response, all earlier ones are accepted.
    let body = json!({ "email": "first@example.test", "password": PASSWORD });
    post(&serving, "/api/auth/signup", &body).await.expect_status(201);

    serving.signal(Signal::TERM);
    let answers = join_all(connections.into_iter().map(async |mut connection| {
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }))
    .await;
    drop(idle);
    let address = serving.address;
    // The server is stopping already: `CONT` has no effect.
    let (status, printed) = serving.stop_with(Signal::CONT).await;

    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains("refresh_token_expires_in"), "{answer}");
    }
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(database.count("account").await, 9);
}

/// F13: readiness reports the shutdown. Requests in progress and connections in the backlog still
/// get a response.
#[tokio::test]
async fn readiness_reports_shutdown_and_accepted_connections_are_served() {
    let database = TestDatabase::create().await;
    let serving = Program::new(&database).with("SIGNET_DRAIN_SECONDS", "60").serve().await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut keep_alive = TcpStream::connect(serving.address).await.unwrap();
    let get = async |connection: &mut TcpStream, path: &str| {
        connection.write_all(request(path).as_bytes()).await.unwrap();
        let mut answer = vec![0; 2048];
        let length = connection.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).to_lowercase()
    };
    let before = get(&mut keep_alive, "/readyz").await;

    serving.signal(Signal::TERM);
    // The signal takes effect after a moment. Until then, a response may be a 200 that closes its
    // connection.
    let unready = loop {
        let mut new_connection = TcpStream::connect(serving.address).await.unwrap();
        let answer = get(&mut new_connection, "/readyz").await;
        if !answer.starts_with("http/1.1 200") {
            break answer;
        }
    };
    let after = get(&mut keep_alive, "/livez").await;
    let (status, _) = serving.stop_with(Signal::CONT).await;

    assert!(
        before.starts_with("http/1.1 200") && !before.contains("connection: close"),
        "{before}"
    );
    assert!(unready.starts_with("http/1.1 503"), "{unready}");
    assert!(unready.contains("connection: close"), "{unready}");
    assert!(after.starts_with("http/1.1 200") && after.contains("connection: close"), "{after}");
    assert_eq!(status.code(), Some(0));
}

/// `signet health` requests `/readyz`, and reports the result by its exit code.
#[tokio::test]
async fn health_command_distinguishes_ready_unready_and_unreachable() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    let serving = program.serve().await;
    let health_check = program.clone().with("SIGNET_LISTEN", &serving.address.to_string());

    let ready = health_check.run(&["health"]).await;
    database.make_unavailable().await;
    let is_unready = async || !health_check.run(&["health"]).await.status.success();
    eventually("the server is not ready", is_unready).await;
    let unready = health_check.run(&["health"]).await;
    serving.stop_with(Signal::TERM).await;
    let unreachable = health_check.run(&["health"]).await;

    assert_eq!(ready.status.code(), Some(0), "{ready:?}");
    for output in [unready, unreachable] {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.starts_with(b"error: "), "{output:?}");
    }
}

/// RF-06, F23: every write that was acknowledged before the kill is stored.
#[tokio::test]
async fn kill_loses_no_acknowledged_write_and_revives_no_session() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database).with("SIGNET_REFRESH_RETRY_SECONDS", "0");
    let body = json!({ "email": "ada@example.test", "password": PASSWORD });
    let refresh = async |serving: &ServerProcess, token: &str| {
        post(serving, "/api/auth/refresh", &json!({ "refresh_token": token })).await
    };

    let serving = program.serve().await;
    let first = post(&serving, "/api/auth/signup", &body).await.tokens();
    let second = refresh(&serving, &first.refresh_token).await.tokens();
    serving.stop_with(Signal::KILL).await;
    let serving = program.serve().await;
    let third = refresh(&serving, &second.refresh_token).await.tokens();
    serving.stop_with(Signal::KILL).await;
    let serving = program.serve().await;

    assert_eq!(database.events().await, ["signup", "token_refreshed", "token_refreshed"]);
    refresh(&serving, &second.refresh_token).await.expect_status(401);
    refresh(&serving, &third.refresh_token).await.expect_status(401);
    refresh(&serving, &first.refresh_token).await.expect_status(401);
}

/// A setting that was removed in the last version is reported with its successor.
#[tokio::test]
async fn removed_setting_is_rejected_with_its_successor() {
    let directory = TempDir::new().unwrap();

    for removed in ["SIGNET_HASH_QUEUE", "SIGNET_HASH_WAIT_SECONDS"] {
        let message =
            Program::without_settings(directory.path()).with(removed, "9").startup_error().await;

        assert!(
            message.contains(removed) && message.contains("SIGNET_HASH_BACKLOG_SECONDS"),
            "{message}"
        );
    }
    let message = Program::without_settings(directory.path())
        .with("SIGNET_HASH_QEUE", "9")
        .startup_error()
        .await;
    assert!(message.contains("unknown setting SIGNET_HASH_QEUE"), "{message}");
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

/// A5: a drain time shorter than the hashing backlog would cut off queued logins.
#[tokio::test]
async fn drain_time_shorter_than_the_hashing_backlog_logs_a_warning() {
    let database = TestDatabase::create().await;
    for (variable, value, is_short) in [
        ("SIGNET_DRAIN_SECONDS", "26", true),
        ("SIGNET_CLIENT_SECONDS", "26", true),
        ("SIGNET_DRAIN_SECONDS", "27", false),
    ] {
        let serving = Program::new(&database).with(variable, value).serve().await;
        let (_, printed) = serving.stop_with(Signal::TERM).await;

        assert_eq!(printed.contains("SIGNET_HASH_BACKLOG_SECONDS"), is_short, "{printed}");
    }
}
