//! Users list their sessions, and end them from another session.

use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::forge::{Forge, parts};
use crate::harness::{Answer, PASSWORD, TestServer, Tokens};

const ADA: &str = "ada@example.test";

async fn list_sessions(server: &TestServer, tokens: &Tokens) -> Vec<Value> {
    let answer = server.sessions(&tokens.access_token).await;
    answer.expect_status(200).json()["sessions"].as_array().unwrap().clone()
}

fn session_id(tokens: &Tokens) -> String {
    TestServer::session_id(&tokens.access_token)
}

#[tokio::test]
async fn session_list_shows_details_and_marks_the_current_session() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    let request = server
        .request(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", "198.51.100.7")
        .header("user-agent", "Engine/1.0")
        .json(&json!({ "email": ADA, "password": PASSWORD }));
    let tablet = Answer::of(request).await.tokens();
    let phone = server.log_in(ADA, PASSWORD).await.tokens();
    server.advance_seconds(100);
    let phone = server.refresh_from("203.0.113.9", &phone.refresh_token).await.tokens();

    let seen_by_tablet = list_sessions(&server, &tablet).await;
    let seen_by_phone = list_sessions(&server, &phone).await;

    let ids = |list: &[Value]| list[..2].iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
    assert_eq!((seen_by_tablet.len(), seen_by_phone.len()), (3, 3));
    assert_eq!(ids(&seen_by_tablet), [session_id(&tablet), session_id(&phone)]);
    assert_eq!(ids(&seen_by_phone), [session_id(&phone), session_id(&tablet)]);
    let current: Vec<_> = seen_by_phone.iter().map(|it| it["current"].clone()).collect();
    assert_eq!(current, [true, false, false]);
    let now = server.clock.now();
    let ago = |seconds| now.minus(Duration::from_secs(seconds)).to_rfc3339();
    let in_two_weeks = |from: u64| now.plus(Duration::from_secs(1_209_600 - from)).to_rfc3339();
    let expected = json!({
        "id": session_id(&phone),
        "current": true,
        "client_id": "signet",
        "authenticated_at": ago(100),
        "last_used_at": ago(0),
        "expires_at": in_two_weeks(0),
        "address": "203.0.113.9",
    });
    assert_eq!(seen_by_phone[0], expected);
    let expected = json!({
        "id": session_id(&tablet),
        "current": false,
        "client_id": "signet",
        "authenticated_at": ago(100),
        "last_used_at": ago(100),
        "expires_at": in_two_weeks(100),
        "address": "198.51.100.7",
        "user_agent": "Engine/1.0",
        "device": "Engine/1.0",
    });
    assert_eq!(seen_by_phone[1], expected);
}

/// Ended and expired sessions and sessions of other accounts are not listed.
#[tokio::test]
async fn session_list_contains_only_own_live_sessions() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    server.advance_seconds(1_209_600);
    server.sign_up("bob@example.test").await.expect_status(201);
    let logged_out = server.log_in(ADA, PASSWORD).await.tokens();
    let remaining = server.log_in(ADA, PASSWORD).await.tokens();
    server.log_out(&logged_out.access_token).await.expect_status(200);

    let list = list_sessions(&server, &remaining).await;

    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["id"], session_id(&remaining));
    server.sessions(&logged_out.access_token).await.expect_error(401, "UNAUTHORIZED");
}

/// DS-06: a program that logs in continuously does not make the response grow without limit.
#[tokio::test]
async fn session_list_is_limited_to_a_hundred_and_includes_the_current_one() {
    let server = TestServer::with(|config| config.limits.account_attempts_per_minute = 1_000).await;
    let first = server.sign_up(ADA).await.tokens();
    for _ in 0..21 {
        for answer in join_all((0..5).map(|_| server.log_in(ADA, PASSWORD))).await {
            answer.expect_status(200);
        }
    }

    let list = list_sessions(&server, &first).await;

    assert_eq!(list.len(), 100);
    assert_eq!(list[0]["id"], session_id(&first));
}

/// SS-12: exactly one session ends.
#[tokio::test]
async fn session_can_be_ended_from_another_one() {
    let server = TestServer::start().await;
    let current = server.sign_up(ADA).await.tokens();
    let lost = server.log_in(ADA, PASSWORD).await.tokens();
    let other = server.log_in(ADA, PASSWORD).await.tokens();

    let answer = server.end_session(&current.access_token, &session_id(&lost)).await;

    answer.expect_status(204);
    assert!(answer.body.is_empty());
    server.me(&lost.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&lost.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    server.me(&current.access_token).await.expect_status(200);
    server.refresh(&other.refresh_token).await.expect_status(200);
    let reasons = "SELECT reason FROM auth_event WHERE type = 'session_revoked'";
    let expected = format!("by session {}", session_id(&current));
    assert_eq!(server.database.column::<String>(reasons).await, [expected]);
    let ended = "session WHERE end_reason = 'revoked'";
    assert_eq!(server.database.count(ended).await, 1);
}

/// EN-08: a missing session and a session of another account get the same response, and nothing
/// changes.
#[tokio::test]
async fn ended_or_foreign_session_is_not_found() {
    let server = TestServer::start().await;
    let current = server.sign_up(ADA).await.tokens();
    let ended = server.log_in(ADA, PASSWORD).await.tokens();
    let bob = server.sign_up("bob@example.test").await.tokens();
    server.end_session(&current.access_token, &session_id(&ended)).await.expect_status(204);

    let missing = "00000000-0000-0000-0000-000000000000".to_owned();
    let mut errors = Vec::new();
    for id in [session_id(&ended), session_id(&bob), missing] {
        let answer = server.end_session(&current.access_token, &id).await;
        errors.push(answer.expect_error(404, "NOT_FOUND")["error"].clone());
    }

    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    server.me(&bob.access_token).await.expect_status(200);
    for id in ["x", "1", "019a0000-0000-7000-8000-00000000000g"] {
        let answer = server.end_session(&current.access_token, id).await;
        answer.expect_error(400, "VALIDATION_ERROR");
    }
    assert_eq!(server.database.count("auth_event WHERE type = 'session_revoked'").await, 1);
}

/// A session may name its own id, which logs it out.
#[tokio::test]
async fn session_can_end_itself() {
    let server = TestServer::start().await;
    let current = server.sign_up(ADA).await.tokens();

    server.end_session(&current.access_token, &session_id(&current)).await.expect_status(204);

    server.refresh(&current.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    let again = server.end_session(&current.access_token, &session_id(&current)).await;
    again.expect_error(401, "UNAUTHORIZED");
}

/// SS-12
#[tokio::test]
async fn ending_other_sessions_keeps_the_current_one() {
    let server = TestServer::start().await;
    let current = server.sign_up(ADA).await.tokens();
    let others = [server.log_in(ADA, PASSWORD).await, server.log_in(ADA, PASSWORD).await];
    let bob = server.sign_up("bob@example.test").await.tokens();

    let answer = server.end_other_sessions(&current.access_token).await;
    let again = server.end_other_sessions(&current.access_token).await;

    answer.expect_status(204);
    again.expect_status(204);
    for other in others {
        server.me(&other.tokens().access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = server.refresh(&other.tokens().refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    server.refresh(&current.refresh_token).await.expect_status(200);
    server.me(&bob.access_token).await.expect_status(200);
    assert_eq!(server.database.count("auth_event WHERE type = 'session_revoked'").await, 1);
}

/// `others` is required and has one valid value.
#[tokio::test]
async fn ending_sessions_requires_the_others_parameter() {
    let server = TestServer::start().await;
    let current = server.sign_up(ADA).await.tokens();
    server.log_in(ADA, PASSWORD).await.expect_status(200);

    for query in ["", "?", "?others", "?others=", "?others=false", "?others=1", "?other=true"] {
        let path = format!("/api/auth/sessions{query}");
        let request = server.as_user(Method::DELETE, &path, &current.access_token);
        Answer::of(request).await.expect_error(400, "VALIDATION_ERROR");
    }

    assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 2);
}

/// SS-12, AT-09: a session that has ended cannot end other sessions.
#[tokio::test]
async fn ended_session_cannot_end_others() {
    let server = TestServer::start().await;
    let remaining = server.sign_up(ADA).await.tokens();
    let logged_out = server.log_in(ADA, PASSWORD).await.tokens();
    server.log_out(&logged_out.access_token).await.expect_status(200);

    let one = server.end_session(&logged_out.access_token, &session_id(&remaining)).await;
    let others = server.end_other_sessions(&logged_out.access_token).await;

    one.expect_error(401, "UNAUTHORIZED");
    others.expect_error(401, "UNAUTHORIZED");
    server.me(&remaining.access_token).await.expect_status(200);
}

/// Like AT-09: of two sessions that end each other concurrently, one stays live.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_mutual_session_end_leaves_one_live() {
    let server = TestServer::start().await;
    let second_instance = server.another_instance().await;
    for round in 0..12 {
        let email = format!("ada{round}@example.test");
        let one = server.sign_up(&email).await.tokens();
        let other = server.log_in(&email, PASSWORD).await.tokens();
        let (one_id, other_id) = (session_id(&one), session_id(&other));

        let (first, second) = if round % 2 == 0 {
            let first = server.end_session(&one.access_token, &other_id);
            join(first, second_instance.end_session(&other.access_token, &one_id)).await
        } else {
            let first = server.end_other_sessions(&one.access_token);
            join(first, second_instance.end_other_sessions(&other.access_token)).await
        };

        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 401], "{first:?} {second:?}");
        let refreshes =
            join(server.refresh(&one.refresh_token), second_instance.refresh(&other.refresh_token))
                .await;
        let mut statuses = [refreshes.0.status, refreshes.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
}

/// AZ-02: a token of a client does not give access to the account.
#[tokio::test]
async fn client_token_cannot_list_or_end_sessions() {
    let server = TestServer::start().await;
    let current = server.sign_up(ADA).await.tokens();
    let forge = Forge::open(&server.database).await;
    let (header, mut claims) = parts(&current.access_token);
    let same = forge.sign(&header, &claims);
    claims["client_id"] = json!("shop");
    let foreign = forge.sign(&header, &claims);

    server.me(&same).await.expect_status(200);

    server.me(&foreign).await.expect_error(401, "UNAUTHORIZED");
    server.sessions(&foreign).await.expect_error(401, "UNAUTHORIZED");
    server.end_session(&foreign, &session_id(&current)).await.expect_error(401, "UNAUTHORIZED");
    server.end_other_sessions(&foreign).await.expect_error(401, "UNAUTHORIZED");
    server.delete_me(&foreign, PASSWORD).await.expect_error(401, "UNAUTHORIZED");
}
