//! Password guesses at one account are limited, regardless of the number of client addresses.

use futures_util::future::join_all;

use crate::harness::{PASSWORD, TestServer};

const ADA: &str = "ada@example.test";

async fn guess(server: &TestServer, email: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(server.log_in(email, "wrong").await.status);
    }
    statuses
}

/// RL-06: ten attempts per minute, across client addresses and spellings. The limit also blocks the
/// owner, until the minute has passed.
#[tokio::test]
async fn account_limit_is_ten_logins_per_minute() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    let spellings = [ADA, "ADA@example.test", " ada@EXAMPLE.test. "];

    for (spelling, _) in spellings.iter().cycle().zip(0..10) {
        server.log_in(spelling, "wrong").await.expect_error(401, "AUTH_FAILED");
    }
    let refused = server.log_in(ADA, PASSWORD).await;
    server.advance_seconds(60);
    let later = server.log_in(ADA, PASSWORD).await;

    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(refused.header("ratelimit-policy"), "\"account\";q=10;w=60");
    assert_eq!(refused.header("retry-after"), "60");
    later.expect_status(200);
}

/// RL-07: a correct password counts against the account limit like a wrong one, and does not reset
/// the window. Otherwise an attacker could clear another account's window with their own logins.
#[tokio::test]
async fn correct_password_counts_against_the_account_limit() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    guess(&server, ADA, 9).await;

    server.log_in(ADA, PASSWORD).await.expect_status(200);

    server.log_in(ADA, PASSWORD).await.expect_error(429, "RATE_LIMIT_EXCEEDED");
    server.advance_seconds(60);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// RL-08: a successful login is not counted against its client address, and does not clear the
/// failed attempts of this address.
#[tokio::test]
async fn correct_password_does_not_count_against_the_address_limit() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut statuses = Vec::new();

    for password in ["wrong", "wrong", "wrong", "wrong", PASSWORD, PASSWORD, "wrong", PASSWORD] {
        statuses.push(server.log_in_from("203.0.113.9", ADA, password).await.status);
    }

    assert_eq!(statuses, [401, 401, 401, 401, 200, 200, 401, 429]);
}

/// RL-12: an attempt that one limit rejects is not counted for other limits.
#[tokio::test]
async fn attempt_rejected_by_the_address_limit_is_not_counted_for_the_account() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);

    for _ in 0..15 {
        server.log_in_from("203.0.113.9", ADA, "wrong").await;
    }

    assert_eq!(guess(&server, ADA, 6).await, [401, 401, 401, 401, 401, 429]);
}

/// EN-06: a rate limit does not disclose whether the account exists.
#[tokio::test]
async fn account_limit_applies_equally_to_unknown_accounts() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    guess(&server, ADA, 10).await;
    guess(&server, "nobody@example.test", 10).await;

    let known = server.log_in(ADA, "wrong").await;
    let unknown = server.log_in("nobody@example.test", "wrong").await;

    let known_error = known.expect_error(429, "RATE_LIMIT_EXCEEDED");
    let unknown_error = unknown.expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(known_error["error"], unknown_error["error"]);
    for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert_eq!(known.header(name), unknown.header(name));
    }
}

/// RL-07: concurrent attempts at an account are counted exactly: a limit of 18 admits 18 logins.
#[tokio::test]
async fn concurrent_logins_of_the_owner_all_succeed() {
    let server = TestServer::with(|config| {
        config.passwords.hash_backlog_seconds = 60;
        config.limits.account_attempts_per_minute = 18;
    })
    .await;
    server.sign_up(ADA).await.expect_status(201);
    // Long enough for one attempt to finish while another is between two statements.
    server.database.delay_after_inserts_into("attempt").await;

    let log_in_three_times = async |_| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(server.log_in(ADA, PASSWORD).await.status);
        }
        statuses
    };
    let statuses = join_all((0..6).map(log_in_three_times)).await.concat();

    assert_eq!(statuses, [200; 18]);
}
