//! Attempt limits: five in any minute, per client address and endpoint.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestServer};

const CLIENT: &str = "203.0.113.9";

/// A server on which only the limit per address applies.
async fn server() -> TestServer {
    TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await
}

async fn try_once(server: &TestServer) -> u16 {
    server.log_in_from(CLIENT, "nobody@example.test", "wrong").await.status
}

async fn try_times(server: &TestServer, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(try_once(server).await);
    }
    statuses
}

/// The `Retry-After` of an attempt that must be refused.
async fn retry_after(server: &TestServer) -> String {
    let refused = server.log_in_from(CLIENT, "nobody@example.test", "wrong").await;
    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    refused.header("retry-after").to_owned()
}

async fn sign_up_from(server: &TestServer, client: &str, email: &str) -> Answer {
    let body = json!({ "email": email, "password": PASSWORD });
    server.post_from(client, "/api/auth/signup", &body).await
}

/// RL-01: five attempts are admitted, and the response to the sixth has a `Retry-After`.
#[tokio::test]
async fn sixth_login_within_a_minute_is_rejected() {
    let server = server().await;

    let admitted = try_times(&server, 5).await;
    server.advance_millis(20_500);
    let refused = server.log_in_from(CLIENT, "nobody@example.test", "wrong").await;

    assert_eq!(admitted, [401; 5]);
    let envelope = refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(envelope["error"]["message"], "Too many attempts, try again later");
    assert_eq!(refused.header("retry-after"), "40", "39.5 seconds, rounded up");
    assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=5;w=60");
    assert_eq!(refused.header("ratelimit"), "\"address\";r=0;t=40");
}

/// RL-01: sign-ups have the same limit, counted separately from logins.
#[tokio::test]
async fn sign_ups_are_limited_separately_from_logins() {
    let server = server().await;
    try_times(&server, 6).await;

    let mut statuses = Vec::new();
    for number in 0..6 {
        let email = format!("ada{number}@example.test");
        statuses.push(sign_up_from(&server, CLIENT, &email).await.status);
    }

    assert_eq!(statuses, [201, 201, 201, 201, 201, 429]);
    assert_eq!(server.database.count("account").await, 5);
    assert_eq!(sign_up_from(&server, "203.0.113.10", "eve@example.test").await.status, 201);
}

/// RL-01, RL-09: uses of reset tokens have their own limit.
#[tokio::test]
async fn reset_token_uses_are_limited_separately_from_logins() {
    let server = server().await;
    try_times(&server, 6).await;
    let body = json!({ "token": "sgp_forged", "new_password": PASSWORD });

    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(server.post_from(CLIENT, "/api/auth/password/reset", &body).await.status);
    }

    assert_eq!(statuses, [400, 400, 400, 400, 400, 429]);
}

/// RL-01: each attempt stops counting a minute later, accurate to the microsecond.
#[tokio::test]
async fn window_slides_a_minute_after_the_oldest_attempt() {
    let server = server().await;
    for _ in 0..5 {
        assert_eq!(try_once(&server).await, 401);
        server.advance_seconds(10);
    }

    assert_eq!(retry_after(&server).await, "10");
    server.advance_millis(9_999);
    assert_eq!(retry_after(&server).await, "1");
    server.advance_millis(1);
    assert_eq!(try_once(&server).await, 401, "60 s after the first");
    assert_eq!(retry_after(&server).await, "10");
    server.advance_seconds(10);
    assert_eq!(try_once(&server).await, 401, "60 s after the second");
    assert_eq!(retry_after(&server).await, "10");
}

/// RL-02: the count is stored in the database.
#[tokio::test]
async fn window_is_shared_by_instances_and_survives_restarts() {
    let one = server().await;
    let other = one.another_instance().await;

    let mut statuses = try_times(&one, 2).await;
    statuses.extend(try_times(&other, 2).await);
    one.advance_seconds(30);
    let one = one.restart().await;
    statuses.extend(try_times(&one, 1).await);
    let refused = [try_once(&one).await, try_once(&other).await];
    let restarted = other.restart().await;

    assert_eq!(statuses, [401; 5]);
    assert_eq!(refused, [429; 2]);
    assert_eq!(retry_after(&restarted).await, "30");
    restarted.advance_seconds(30);
    assert_eq!(
        try_times(&restarted, 5).await,
        [401, 401, 401, 401, 429],
        "one attempt is only 30 s old"
    );
}

/// RL-01, RL-02: on four instances with restarts, no minute contains a sixth attempt.
#[tokio::test]
async fn four_instances_admit_five_attempts_in_any_minute() {
    let one = server().await;
    let mut others = vec![
        one.another_instance().await,
        one.another_instance().await,
        one.another_instance().await,
    ];
    let begin = one.clock.now();
    let mut admitted = Vec::new();

    for turn in 0..60_usize {
        let statuses = [try_once(&one).await, try_once(&others[turn % 3]).await];
        for status in statuses {
            match status {
                401 => admitted.push(one.clock.now().since(begin)),
                other => assert_eq!(other, 429),
            }
        }
        if turn % 7 == 3 {
            let restarted = others.remove(0).restart().await;
            others.push(restarted);
        }
        one.advance_millis(3_700);
    }

    let minute = std::time::Duration::from_mins(1);
    for six in admitted.windows(6) {
        assert!(six[5] >= six[0] + minute, "{admitted:?}");
    }
    // The attempts span 222 seconds: four windows of a minute, each with five admitted attempts.
    assert_eq!(admitted.len(), 20, "{admitted:?}");
}

/// RL-12: a login is counted when it starts. After a success or an internal error, the count is
/// removed. After a failure, it remains.
#[tokio::test]
async fn successful_login_is_not_counted() {
    let server = server().await;
    sign_up_from(&server, "203.0.113.1", "ada@example.test").await.expect_status(201);

    let right = server.log_in_from(CLIENT, "ada@example.test", PASSWORD).await;
    let wrong = server.log_in_from(CLIENT, "ada@example.test", "wrong").await;
    server.database.execute("ALTER TABLE session RENAME TO away").await;
    let mut broken = Vec::new();
    for _ in 0..5 {
        broken.push(server.log_in_from(CLIENT, "ada@example.test", PASSWORD).await.status);
    }
    server.database.execute("ALTER TABLE away RENAME TO session").await;

    assert_eq!((right.status, wrong.status), (200, 401));
    assert_eq!(broken, [503; 5]);
    assert_eq!(try_times(&server, 5).await, [401, 401, 401, 401, 429]);
}

/// RL-12: rejected attempts are not counted.
#[tokio::test]
async fn rejected_attempts_do_not_prolong_the_block() {
    let server = server().await;
    try_times(&server, 5).await;

    for _ in 0..4 {
        server.advance_seconds(14);
        assert_eq!(try_once(&server).await, 429);
    }
    server.advance_seconds(4);

    assert_eq!(try_times(&server, 6).await, [401, 401, 401, 401, 401, 429]);
}

/// RL-12
#[tokio::test]
async fn malformed_requests_are_not_counted() {
    let server = server().await;
    let malformed = [
        json!({ "email": "no address", "password": "wrong" }),
        json!({ "email": "nobody@example.test" }),
        json!({ "email": "nobody@example.test", "password": "x".repeat(1_025) }),
        json!({ "email": "nobody@example.test", "password": 7 }),
        json!({}),
        json!([]),
    ];

    for body in &malformed {
        server.post_from(CLIENT, "/api/auth/login", body).await.expect_status(400);
        server.post_from(CLIENT, "/api/auth/signup", body).await.expect_status(400);
    }

    assert_eq!(server.database.count("attempt").await, 0);
    assert_eq!(try_times(&server, 6).await, [401, 401, 401, 401, 401, 429]);
}

/// RL-11: a client that has reached the login limit can still read, refresh and log out.
#[tokio::test]
async fn login_limit_does_not_block_other_endpoints() {
    let server = server().await;
    let tokens = sign_up_from(&server, CLIENT, "ada@example.test").await.tokens();
    assert_eq!(try_times(&server, 6).await.pop(), Some(429));
    let from_client =
        |method, path: &str| server.request(method, path).header("x-forwarded-for", CLIENT);

    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/openapi.json",
        "/livez",
        "/readyz",
    ] {
        Answer::of(from_client(Method::GET, path)).await.expect_status(200);
    }
    let body = json!({ "refresh_token": tokens.refresh_token });
    server.post_from(CLIENT, "/api/auth/refresh", &body).await.expect_status(200);
    for (method, path) in [(Method::GET, "/api/auth/me"), (Method::POST, "/api/auth/logout")] {
        let request = from_client(method, path).bearer_auth(&tokens.access_token);
        Answer::of(request).await.expect_status(200);
    }
}

/// RL-01: refreshes have their own quota, which is generous by default.
#[tokio::test]
async fn refreshes_have_a_separate_limit() {
    let server = TestServer::with(|config| config.limits.refreshes_per_minute = 2).await;
    let body = json!({ "refresh_token": "sgr_none" });
    let refresh_from =
        async |client: &str| server.post_from(client, "/api/auth/refresh", &body).await;

    for _ in 0..2 {
        refresh_from(CLIENT).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    let refused = refresh_from(CLIENT).await;

    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&seconds), "two a minute: one every 30 s, not {seconds}");
    assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=2;w=60");
    refresh_from("203.0.113.10").await.expect_error(401, "INVALID_REFRESH_TOKEN");
}

/// RL-01: endpoints that take a token have a quota, too. It is checked before the signature, and
/// before any database access.
#[tokio::test]
async fn requests_with_a_token_have_a_separate_limit() {
    let server = TestServer::with(|config| config.limits.requests_per_minute = 3).await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let from = async |client: &str, method: Method, path: &str, token: &str| {
        let request = server.request(method, path).header("x-forwarded-for", client);
        Answer::of(request.bearer_auth(token)).await
    };

    from(CLIENT, Method::GET, "/api/auth/me", &tokens.access_token).await.expect_status(200);
    from(CLIENT, Method::GET, "/api/auth/me", "a.b.c").await.expect_error(401, "UNAUTHORIZED");
    from(CLIENT, Method::POST, "/api/auth/logout", "a.b.c").await.expect_status(401);
    for (method, path) in [(Method::GET, "/api/auth/me"), (Method::POST, "/api/auth/logout")] {
        let refused = from(CLIENT, method, path, &tokens.access_token).await;
        refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
        assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=3;w=60");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=20).contains(&seconds), "three a minute: one every 20 s, not {seconds}");
    }

    assert_eq!(server.database.count("session WHERE ended_at IS NOT NULL").await, 0);
    let other = from("203.0.113.10", Method::POST, "/api/auth/logout", &tokens.access_token).await;
    other.expect_status(200);
}

/// AU-01: a flood of attempts does not cause a flood of events.
#[tokio::test]
async fn rate_limited_client_causes_one_audit_event_per_minute() {
    let server = server().await;
    let refusals = "auth_event WHERE type = 'rate_limited' AND reason = 'address'";

    assert_eq!(try_times(&server, 9).await[5..], [429; 4]);
    assert_eq!(server.database.count(refusals).await, 1);
    server.advance_seconds(60);
    assert_eq!(try_times(&server, 7).await[5..], [429; 2]);

    assert_eq!(server.database.count(refusals).await, 2);
    let addresses: Vec<String> =
        server.database.column("SELECT address FROM auth_event WHERE type = 'rate_limited'").await;
    assert_eq!(addresses, [CLIENT; 2]);
}

/// RL-01: the in-memory limiter in front of the database responds like the exact limit.
#[tokio::test]
async fn in_memory_limiter_responds_like_the_exact_limit() {
    let server = server().await;
    try_times(&server, 5).await;

    for _ in 0..30 {
        let refused = server.log_in_from(CLIENT, "nobody@example.test", "wrong").await;
        refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
        assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=5;w=60");
        assert_eq!(refused.header("ratelimit"), "\"address\";r=0;t=60");
        assert_eq!(refused.header("retry-after"), "60");
    }
}
