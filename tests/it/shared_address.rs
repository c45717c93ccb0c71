//! B5: many users behind one address, such as the NAT of an office or a carrier, can log in. Failed
//! logins from that address are still counted exactly.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestServer};

const OFFICE: &str = "203.0.113.9";
const LIMIT: usize = 5;

/// Instances that share the database of the first instance. On SQLite, a single instance.
async fn instances(number: usize) -> Vec<TestServer> {
    let first = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let mut all = vec![first];
    while all[0].database.is_postgres() && all.len() < number {
        let next = all[0].another_instance().await;
        all.push(next);
    }
    all
}

fn person(number: usize) -> String {
    format!("person{number}@example.test")
}

/// All users log in within a minute, thirty of them concurrently.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_users_behind_one_address_can_log_in() {
    for number in [1, 2] {
        let servers = instances(number).await;
        join_all((0..50).map(|it| servers[0].sign_up(person(it).leak()))).await;

        let log_in = async |it: usize| {
            let server = &servers[it % servers.len()];
            server.log_in_from(OFFICE, &person(it), PASSWORD).await.status
        };
        let concurrent = join_all((0..30).map(log_in)).await;
        assert_eq!(concurrent, [200; 30], "{number} instances");
        for it in 30..50 {
            assert_eq!(log_in(it).await, 200, "{number} instances");
        }
    }
}

/// RL-01: of twenty concurrent wrong passwords, exactly five are checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_wrong_passwords_behind_one_address_are_limited_to_five() {
    for number in [1, 2, 4] {
        let servers = instances(number).await;
        servers[0].sign_up("ada@example.test").await.expect_status(201);

        let guess = async |it: usize| {
            let server = &servers[it % servers.len()];
            server.log_in_from(OFFICE, "ada@example.test", "Wrong-horse-7").await.status
        };
        let mut statuses = join_all((0..20).map(guess)).await;
        statuses.sort_unstable();

        assert_eq!(statuses, [vec![401; LIMIT], vec![429; 20 - LIMIT]].concat(), "{number}");
        let failed = "auth_event WHERE type = 'login_failed'";
        assert_eq!(servers[0].database.count(failed).await, 5, "{number} instances");
    }
}

/// Correct passwords succeed until the limit of wrong ones is reached. They do not raise the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn correct_passwords_do_not_permit_further_guesses() {
    let servers = instances(2).await;
    join_all((0..20).map(|it| servers[0].sign_up(person(it).leak()))).await;

    let attempts = (0..60).map(async |it: usize| {
        let server = &servers[it % servers.len()];
        let password = if it.is_multiple_of(3) { "Wrong-horse-7" } else { PASSWORD };
        server.log_in_from(OFFICE, &person(it % 20), password).await.status
    });
    let statuses = join_all(attempts).await;

    let wrong = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(wrong, LIMIT, "{statuses:?}");
}

/// A password check while logged in counts like a login.
#[tokio::test]
async fn successful_password_change_is_not_counted() {
    let servers = instances(1).await;
    let server = &servers[0];
    let mut tokens = Vec::new();
    for it in 0..7 {
        tokens.push(server.sign_up(&person(it)).await.tokens().access_token);
    }
    let change = async |token: &str, current: &str| {
        let body = json!({ "current_password": current, "new_password": "Difference-Engine-1822" });
        let request = server.request(Method::POST, "/api/auth/password").bearer_auth(token);
        Answer::of(request.header("x-forwarded-for", OFFICE).json(&body)).await.status
    };

    for token in &tokens[..6] {
        assert_eq!(change(token, PASSWORD).await, 204);
    }
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(change(&tokens[6], "Wrong-horse-7").await);
    }
    assert_eq!(statuses[5], 429, "{statuses:?}");
    assert!(statuses[..5].iter().all(|status| *status != 429), "{statuses:?}");
}

/// Attempts of a crashed instance never get a verdict. A later attempt waits five seconds for it,
/// and then gets a `Retry-After`. After half a minute, the attempts without a verdict count as
/// failures.
#[tokio::test]
async fn attempts_without_a_verdict_delay_others_and_then_count_as_failures() {
    let servers = instances(1).await;
    let server = &servers[0];
    server.sign_up("ada@example.test").await.expect_status(201);
    for _ in 0..LIMIT {
        server.log_in_from(OFFICE, "ada@example.test", "Wrong-horse-7").await.expect_status(401);
    }
    let as_if_crashed = "UPDATE attempt SET under_way = hits WHERE under_way IS NULL";
    server.database.execute(as_if_crashed).await;

    let started = Instant::now();
    let refused = server.log_in_from(OFFICE, "ada@example.test", PASSWORD).await;
    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(started.elapsed() >= Duration::from_secs(5), "the request waits for the verdicts");
    server.advance_seconds(30);
    let started = Instant::now();
    let refused = server.log_in_from(OFFICE, "ada@example.test", PASSWORD).await;
    assert_eq!(refused.header("retry-after"), "30");
    assert!(started.elapsed() < Duration::from_secs(5), "the request does not wait");
    server.advance_seconds(30);
    server.log_in_from(OFFICE, "ada@example.test", PASSWORD).await.expect_status(200);
}
