//! If a client disconnects before the response, its request completes or has no effect.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{PASSWORD, TestServer};

/// Sends a request and disconnects. If `abruptly`, the connection is reset, as when a client is
/// killed.
async fn send_and_disconnect(server: SocketAddr, path: &str, body: &Value, abruptly: bool) {
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let mut connection = TcpStream::connect(server).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    if abruptly {
        connection.set_zero_linger().unwrap();
    }
}

/// RF-05: the refresh completes, and a retry gets the same successor.
#[tokio::test]
async fn refresh_token_can_be_retried_after_a_disconnect() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let body = json!({ "refresh_token": first.refresh_token });

    for abruptly in [false, true, false, true] {
        send_and_disconnect(server.address, "/api/auth/refresh", &body, abruptly).await;
    }
    let answer = server.refresh(&first.refresh_token).await;
    let again = server.refresh(&first.refresh_token).await;

    let successor = answer.tokens().refresh_token;
    assert_eq!(again.tokens().refresh_token, successor);
    let generations: Vec<i64> = server.database.column("SELECT generation FROM session").await;
    assert_eq!(generations, [1]);
    server.refresh(&successor).await.expect_status(200);
}

/// F18: account, session and audit event are committed together or not at all.
#[tokio::test]
async fn disconnect_during_sign_up_leaves_no_partial_account() {
    let server = TestServer::with(|config| {
        config.limits.attempts_per_minute = 1000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let emails: Vec<_> = (0..8).map(|index| format!("ada{index}@example.test")).collect();

    for (email, abruptly) in emails.iter().zip([false, true].into_iter().cycle()) {
        let body = json!({ "email": email, "password": PASSWORD });
        send_and_disconnect(server.address, "/api/auth/signup", &body, abruptly).await;
    }
    for email in &emails {
        let again = server.sign_up(email).await;
        assert!(matches!(again.status, 201 | 409), "{again:?}");
        server.log_in(email, PASSWORD).await.expect_status(200);
    }

    for (rows, count) in [
        ("account", 8),
        ("auth_event WHERE type = 'signup'", 8),
        ("auth_event WHERE type = 'login'", 8),
        ("session", 16),
        ("session WHERE ended_at IS NULL AND generation = 0", 16),
    ] {
        assert_eq!(server.database.count(rows).await, count, "{rows}");
    }
}

/// A5, F18: a queued login whose client disconnected is dropped without hashing.
#[tokio::test]
async fn queued_login_of_a_disconnected_client_is_not_hashed() {
    const DISCONNECTED: usize = 30;
    let server = TestServer::with(|config| {
        config.limits.attempts_per_minute = 1000;
        config.passwords.hash_threads = 1;
        config.passwords.argon2_iterations = 16;
    })
    .await;
    server.sign_up("ada@example.test").await.expect_status(201);

    for index in 0..DISCONNECTED {
        let email = format!("nobody{index}@example.test");
        let body = json!({ "email": email, "password": PASSWORD });
        // The connection is not reset: a reset would end the request even if the server did not
        // watch for disconnects.
        send_and_disconnect(server.address, "/api/auth/login", &body, false).await;
    }
    // From the same client address, so that it is queued after the others.
    let last = server.log_in_from("127.0.0.1", "ada@example.test", PASSWORD).await;

    last.expect_status(200);
    let failed = server.database.count("auth_event WHERE type = 'login_failed'").await;
    assert!(usize::try_from(failed).unwrap() < DISCONNECTED / 2, "{failed}");
}
