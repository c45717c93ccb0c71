//! Rotation: each refresh token works once, and reuse ends the session.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{TestServer, Tokens};

const DAY: u64 = 24 * 60 * 60;

/// Asserts that all these tokens of a session are rejected.
async fn assert_all_rejected(server: &TestServer, issued: &[&Tokens]) {
    for tokens in issued {
        let refused = server.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
    }
}

async fn reuse_events(server: &TestServer) -> i64 {
    server.database.count("auth_event WHERE type = 'token_reuse'").await
}

/// RF-01: a token that is older than the predecessor counts as presented by a second holder.
#[tokio::test]
async fn token_older_than_the_predecessor_ends_the_session_and_logs_both_addresses() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();
    let third = server.refresh_from("198.51.100.7", &second.refresh_token).await.tokens();

    let replay = server.refresh_from("203.0.113.66", &first.refresh_token).await;

    let envelope = replay.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_eq!(envelope["error"]["message"], "Invalid refresh token");
    assert_eq!(envelope["error"]["details"], Value::Null);
    assert_all_rejected(&server, &[&third, &second, &first]).await;
    let column = |name: &str| format!("SELECT {name} FROM auth_event WHERE type = 'token_reuse'");
    let addresses: Vec<String> = server.database.column(&column("address")).await;
    let reasons: Vec<String> = server.database.column(&column("reason")).await;
    assert_eq!(addresses, ["203.0.113.66"]);
    assert!(reasons[0].contains("198.51.100.7"), "{reasons:?}");
}

/// W8: a frozen process reads requests of clients that have given up, possibly after newer
/// requests. Until the retry window has passed, such a request is rejected and does not end the
/// session.
#[tokio::test]
async fn old_token_soon_after_an_outage_is_rejected_without_ending_the_session() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();
    server.record_outage(-1, 5).await;
    server.advance_seconds(6);
    let third = server.refresh(&second.refresh_token).await.tokens();

    for instance in [&server, &server.another_instance().await] {
        instance.refresh(&first.refresh_token).await.expect_status(503);
    }
    assert_eq!(reuse_events(&server).await, 0);
    let fourth = server.refresh(&third.refresh_token).await.tokens();

    server.advance_seconds(11);
    let replay = server.refresh(&first.refresh_token).await;
    replay.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_all_rejected(&server, &[&fourth]).await;
    assert_eq!(reuse_events(&server).await, 1);
}

/// RF-01: other sessions of the account are not affected by reuse.
#[tokio::test]
async fn reuse_ends_only_its_own_session() {
    let server = TestServer::start().await;
    let stolen = server.sign_up("ada@example.test").await.tokens();
    let other = server.log_in("ada@example.test", crate::harness::PASSWORD).await.tokens();
    let second = server.refresh(&stolen.refresh_token).await.tokens();
    let third = server.refresh(&second.refresh_token).await.tokens();

    server.refresh(&stolen.refresh_token).await.expect_status(401);

    assert_all_rejected(&server, &[&third]).await;
    server.me(&other.access_token).await.expect_status(200);
    server.refresh(&other.refresh_token).await.expect_status(200);
}

/// RF-02: clients retry after a lost response, or from a second tab.
#[tokio::test]
async fn predecessor_of_an_unused_successor_gets_the_same_successor() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();

    for _ in 0..3 {
        server.advance_seconds(3);
        let again = server.refresh(&first.refresh_token).await.tokens();

        assert_eq!(again.refresh_token, second.refresh_token);
        server.me(&again.access_token).await.expect_status(200);
    }
    let generations: Vec<i64> = server.database.column("SELECT generation FROM session").await;
    assert_eq!(generations, [1]);
    assert_eq!(reuse_events(&server).await, 0);
    server.refresh(&second.refresh_token).await.expect_status(200);
}

/// RF-03: the owner and a thief have the same token. When the second of them uses it, the session
/// ends for both.
#[tokio::test]
async fn predecessor_of_a_used_successor_ends_the_session() {
    for pause in [0, 60] {
        let server = TestServer::start().await;
        let shared = server.sign_up("ada@example.test").await.tokens();
        let thief_first = server.refresh(&shared.refresh_token).await.tokens();
        let thief_newest = server.refresh(&thief_first.refresh_token).await.tokens();
        server.advance_seconds(pause);

        server.refresh(&shared.refresh_token).await.expect_status(401);

        assert_all_rejected(&server, &[&thief_newest, &thief_first, &shared]).await;
        assert_eq!(reuse_events(&server).await, 1);
        let end: Vec<String> = server.database.column("SELECT end_reason FROM session").await;
        assert_eq!(end, ["token_reuse"]);
    }
}

/// RF-02, RF-03: exactly ten seconds after the rotation, the window has ended.
#[tokio::test]
async fn retry_window_ends_exactly_ten_seconds_after_the_rotation() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();

    server.clock.advance(Duration::from_micros(9_999_999));
    let inside = server.refresh(&first.refresh_token).await;
    server.clock.advance(Duration::from_micros(1));
    let outside = server.refresh(&first.refresh_token).await;

    assert_eq!(inside.tokens().refresh_token, second.refresh_token);
    outside.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_all_rejected(&server, &[&second]).await;
    assert_eq!(reuse_events(&server).await, 1);
}

/// RF-04: the strict rule of ASVS 10.4.5.
#[tokio::test]
async fn any_reuse_ends_the_session_without_a_retry_window() {
    let server = TestServer::with(|config| config.tokens.refresh_retry_seconds = 0).await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();

    let again = server.refresh(&first.refresh_token).await;

    again.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_all_rejected(&server, &[&second]).await;
    assert_eq!(reuse_events(&server).await, 1);
}

/// RF-07: tokens of a session that its owner ended are invalid, and using them is not reuse.
#[tokio::test]
async fn token_of_a_logged_out_session_is_not_reuse() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let other = server.log_in("ada@example.test", crate::harness::PASSWORD).await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();
    server.log_out(&second.access_token).await.expect_status(200);

    assert_all_rejected(&server, &[&first, &second]).await;

    assert_eq!(reuse_events(&server).await, 0);
    server.refresh(&other.refresh_token).await.expect_status(200);
}

/// RF-08: each refresh checks the account, and a rejected refresh changes nothing.
#[tokio::test]
async fn refresh_of_a_disabled_account_is_rejected_without_changes() {
    let server = TestServer::start().await;
    let first = server.sign_up("ada@example.test").await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();

    server.database.execute("UPDATE account SET disabled_at = 1").await;
    for tokens in [&second, &first, &second] {
        let refused = server.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    server.me(&second.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.log_in("ada@example.test", crate::harness::PASSWORD).await.expect_status(401);
    server.database.execute("UPDATE account SET disabled_at = NULL").await;

    assert_eq!(reuse_events(&server).await, 0);
    server.me(&second.access_token).await.expect_status(200);
    server.refresh(&second.refresh_token).await.expect_status(200);
}

/// RF-10: an unused token expires exactly fourteen days after it was issued.
#[tokio::test]
async fn unused_refresh_token_expires_after_exactly_fourteen_days() {
    let server = TestServer::start().await;
    let signed_up = server.sign_up("ada@example.test").await;
    assert_eq!(signed_up.json()["refresh_token_expires_in"], 14 * DAY);

    server.advance_seconds(14 * DAY - 1);
    let refreshed = server.refresh(&signed_up.tokens().refresh_token).await;
    server.advance_seconds(14 * DAY);
    let late = server.refresh(&refreshed.tokens().refresh_token).await;

    assert_eq!(refreshed.json()["refresh_token_expires_in"], 14 * DAY);
    late.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_eq!(reuse_events(&server).await, 0);
}

/// RF-10: refreshes do not extend the session beyond thirty days after the login.
#[tokio::test]
async fn refreshed_session_expires_after_exactly_thirty_days() {
    let server = TestServer::start().await;
    let mut newest = server.sign_up("ada@example.test").await;
    for (days, days_left) in [(13, 14), (13, 4), (3, 1)] {
        server.advance_seconds(days * DAY);
        newest = server.refresh(&newest.tokens().refresh_token).await;
        newest.expect_status(200);
        assert_eq!(newest.json()["refresh_token_expires_in"], days_left * DAY);
    }

    server.advance_seconds(DAY - 1);
    newest = server.refresh(&newest.tokens().refresh_token).await;
    server.advance_seconds(1);
    let late = server.refresh(&newest.tokens().refresh_token).await;

    assert_eq!(newest.json()["refresh_token_expires_in"], 1);
    late.expect_error(401, "INVALID_REFRESH_TOKEN");
    server.me(&newest.tokens().access_token).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(reuse_events(&server).await, 0);
}
