//! The audit log: one event for each action, with all known details and no secret.

use reqwest::Method;
use reqwest::header::HeaderValue;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use serde_json::json;
use uuid::Uuid;

use crate::harness::oauth::Rp;
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const CLIENT_ADDRESS: &str = "203.0.113.9";

/// All events, oldest first.
async fn rows(server: &TestServer) -> Vec<QueryResult> {
    let db = server.database.connect().await;
    let sql = "SELECT * FROM auth_event ORDER BY id";
    db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap()
}

/// The newest event.
async fn newest_event(server: &TestServer) -> QueryResult {
    rows(server).await.pop().unwrap()
}

fn text(row: &QueryResult, column: &str) -> Option<String> {
    row.try_get("", column).unwrap()
}

fn uuid(row: &QueryResult, column: &str) -> Option<Uuid> {
    row.try_get("", column).unwrap()
}

/// Type, outcome and reason of all events except those about keys.
async fn event_summary(server: &TestServer) -> Vec<String> {
    let rows = rows(server).await;
    let events = rows.iter().map(|row| {
        let [kind, outcome] = ["type", "outcome"].map(|column| text(row, column).unwrap());
        format!("{kind}, {outcome}, {}", text(row, "reason").unwrap_or_default())
    });
    events.filter(|event| !event.starts_with("key_")).collect()
}

/// AU-01: each acknowledged action and each detected attack is one event.
#[tokio::test]
async fn each_action_is_audited_once() {
    let server = TestServer::start().await;

    let ada = server.sign_up(ADA).await.tokens();
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    server.log_in(ADA, "wrong").await.expect_status(401);
    server.log_in("nobody@example.test", "wrong").await.expect_status(401);
    let next = server.refresh(&ada.refresh_token).await.tokens();
    server.refresh(&ada.refresh_token).await.expect_status(200);
    server.refresh(&next.refresh_token).await.expect_status(200);
    server.advance_seconds(60);
    server.refresh(&ada.refresh_token).await.expect_status(401);
    let again = server.log_in(ADA, PASSWORD).await.tokens();
    server.log_out(&again.access_token).await.expect_status(200);
    for _ in 0..7 {
        server.log_in_from(CLIENT_ADDRESS, ADA, "wrong").await;
    }

    let expected = [
        "signup, success, ",
        "login, success, ",
        "login_failed, failure, wrong_password",
        "login_failed, failure, unknown_account",
        "token_refreshed, success, ",
        "token_refreshed, success, retry",
        "token_refreshed, success, ",
        "token_reuse, failure, token 0 shown, newest is 2, last seen at 100.0.0.7",
        "login, success, ",
        "logout, success, ",
        "login_failed, failure, wrong_password",
        "login_failed, failure, wrong_password",
        "login_failed, failure, wrong_password",
        "login_failed, failure, wrong_password",
        "login_failed, failure, wrong_password",
        "rate_limited, failure, address",
    ];
    assert_eq!(event_summary(&server).await, expected);
}

/// AU-01: invalid requests, and requests with the tokens of an ended session, are not events.
#[tokio::test]
async fn invalid_requests_and_ended_sessions_are_not_audited() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    server.log_out(&ada.access_token).await.expect_status(200);

    server.sign_up("no address").await.expect_status(400);
    server.log_in(ADA, &"x".repeat(1_025)).await.expect_status(400);
    server.refresh(&ada.refresh_token).await.expect_status(401);
    server.log_out(&ada.access_token).await.expect_status(401);
    server.me(&ada.access_token).await.expect_status(401);
    server.jwks().await;

    assert_eq!(event_summary(&server).await, ["signup, success, ", "logout, success, "]);
}

/// D1, AU-01: failures that cost an attacker nothing are also events: sign-ups with a taken
/// address, forged refresh tokens, and wrong client secrets.
#[tokio::test]
async fn failures_that_cost_nothing_are_audited() {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);

    server.sign_up(ADA).await.expect_status(409);
    server.refresh("sgr_forged").await.expect_status(401);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "sgr_forged")];
    server.token(&web, &refresh).await.expect_oauth_error(400, "invalid_grant");
    let guess = Rp { secret: Some("sgs_guessed".to_owned()), ..web };
    server.token(&guess, &refresh).await.expect_oauth_error(401, "invalid_client");

    let expected = [
        "signup, success, ",
        "signup_failed, failure, email_exists",
        "refresh_failed, failure, forged",
        "refresh_failed, failure, forged",
        "client_authentication_failed, failure, the secret is wrong",
    ];
    // The first event is the creation of the client.
    assert_eq!(event_summary(&server).await[1..], expected);
    let clients = "auth_event WHERE outcome = 'failure' AND client_id = 'web'";
    assert_eq!(server.database.count(clients).await, 2);
}

/// The rate of these failure events is limited for each client address.
#[tokio::test]
async fn audited_failures_are_rate_limited() {
    let server = TestServer::start().await;

    for _ in 0..40 {
        let refused = server.refresh_from(CLIENT_ADDRESS, "sgr_forged").await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }

    let recorded = server.database.count("auth_event WHERE type = 'refresh_failed'").await;
    // The token bucket refills while the test runs.
    assert!((20..30).contains(&recorded), "{recorded}");
    server.refresh("sgr_forged").await.expect_status(401);
    assert_eq!(
        server.database.count("auth_event WHERE type = 'refresh_failed'").await,
        recorded + 1,
        "a failure from another client address is recorded"
    );
}

/// AU-01: the first key is created and activated once, regardless of the number of instances that
/// start.
#[tokio::test]
async fn key_creation_and_activation_are_audited_once() {
    let server = TestServer::start().await;
    let kid = server.jwks().await["keys"][0]["kid"].as_str().unwrap().to_owned();

    let server = server.another_instance().await.restart().await;

    let reason = Some(format!("kid {kid}"));
    let rows = rows(&server).await;
    let types_and_reasons: Vec<_> =
        rows.iter().map(|row| (text(row, "type").unwrap(), text(row, "reason"))).collect();
    let expected = ["key_created", "key_activated"].map(|kind| (kind.to_owned(), reason.clone()));
    assert_eq!(types_and_reasons, expected);
}

/// AU-02: an event has time, account, session, client, address and user agent.
#[tokio::test]
async fn audit_event_contains_account_time_and_origin() {
    let server = TestServer::start().await;
    server.advance_millis(1_234);
    let request = server
        .request(Method::POST, "/api/auth/signup")
        .header("x-forwarded-for", "198.51.100.1, ::ffff:203.0.113.9")
        .header("user-agent", "Engine/1.0 (Babbage)")
        .json(&json!({ "email": ADA, "password": PASSWORD }));

    let answer = Answer::of(request).await;

    let claims = TestServer::claims(&answer.tokens().access_token);
    let row = newest_event(&server).await;
    assert_eq!(row.try_get::<i64>("", "at").unwrap(), server.clock.now().as_micros());
    assert_eq!(uuid(&row, "request_id").unwrap().to_string(), answer.header("x-request-id"));
    assert_eq!(uuid(&row, "account_id"), Some(answer.tokens().user_id));
    assert_eq!(uuid(&row, "session_id").unwrap().to_string(), claims["sid"].as_str().unwrap());
    assert_eq!(text(&row, "client_id").unwrap(), claims["client_id"].as_str().unwrap());
    assert_eq!(text(&row, "address").unwrap(), CLIENT_ADDRESS);
    assert_eq!(text(&row, "forwarded").unwrap(), "198.51.100.1, ::ffff:203.0.113.9");
    assert_eq!(text(&row, "user_agent").unwrap(), "Engine/1.0 (Babbage)");
    assert_eq!(text(&row, "outcome").unwrap(), "success");
    assert_eq!(text(&row, "reason"), None);
}

/// AU-02: a failure event names the request, and the account if it exists.
#[tokio::test]
async fn login_failure_event_names_an_existing_account() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();

    for (email, account) in [(ADA, Some(ada.user_id)), ("nobody@example.test", None)] {
        let refused = server.log_in_from("2001:DB8:0::1", email, "wrong").await;

        let row = newest_event(&server).await;
        assert_eq!(uuid(&row, "account_id"), account);
        assert_eq!(uuid(&row, "session_id"), None);
        assert_eq!(text(&row, "client_id"), None);
        assert_eq!(uuid(&row, "request_id").unwrap().to_string(), refused.header("x-request-id"));
        assert_eq!(text(&row, "address").unwrap(), "2001:db8::1", "in canonical form");
    }
}

/// AU-02, IJ-08: the user agent and the forwarding chain are truncated to 500 characters. In the
/// user agent, invalid bytes, and characters that are invisible or change the order of others, are
/// replaced.
#[tokio::test]
async fn user_agent_is_truncated_and_sanitized() {
    let server = TestServer::start().await;
    let sent =
        "tab\there, C1 \u{85}, order \u{202e}, invisible \u{200b}\u{2066}, key 🔑 ".as_bytes();
    let sent = [sent, b"no UTF-8 \xff ", [b'x'; 700].as_slice()];
    let chain = format!("{}{CLIENT_ADDRESS}", "198.51.100.1, ".repeat(60));
    let request = server
        .request(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", &chain)
        .header("user-agent", HeaderValue::from_bytes(&sent.concat()).unwrap())
        .json(&json!({ "email": ADA, "password": "wrong" }));

    Answer::of(request).await.expect_status(401);

    let row = newest_event(&server).await;
    let user_agent = text(&row, "user_agent").unwrap();
    let expected = "tab\u{fffd}here, C1 \u{fffd}, order \u{fffd}, invisible \u{fffd}\u{fffd}, \
                    key 🔑 no UTF-8 \u{fffd} xxx";
    assert!(user_agent.starts_with(expected), "{user_agent}");
    assert_eq!(user_agent.chars().count(), 500);
    assert_eq!(text(&row, "forwarded").unwrap(), chain[..500]);
    assert_eq!(text(&row, "address").unwrap(), CLIENT_ADDRESS);
}

/// AU-02: a forwarding chain from an untrusted peer may be forged, so it is not recorded.
#[tokio::test]
async fn forwarding_chain_of_an_untrusted_peer_is_not_recorded() {
    let server = TestServer::with(|config| config.service.trusted_proxies.clear()).await;

    server.log_in_from(CLIENT_ADDRESS, ADA, "wrong").await.expect_status(401);

    let row = newest_event(&server).await;
    assert_eq!(text(&row, "address").unwrap(), "127.0.0.1");
    assert_eq!(text(&row, "forwarded"), None);
}

/// AU-04, AU-06: the audit log contains no credentials, not even those typed into a wrong field.
#[tokio::test]
async fn audit_events_contain_no_secrets() {
    let server = TestServer::start().await;
    let mistyped = "My-S3cret-Typed-As-A-Name@example.test";
    let ada = server.sign_up(ADA).await.tokens();
    let next = server.refresh(&ada.refresh_token).await.tokens();
    server.log_in(mistyped, "wrong-canary").await.expect_status(401);
    server.log_in(ADA, "wrong-canary").await.expect_status(401);
    server.advance_seconds(60);
    server.refresh(&next.refresh_token).await.expect_status(200);
    server.refresh(&ada.refresh_token).await.expect_status(401);
    let hashes: Vec<String> = server.database.column("SELECT password_hash FROM account").await;

    let rows = rows(&server).await;
    let texts = rows.iter().flat_map(|row| {
        let columns = row.column_names();
        columns.into_iter().filter_map(|column| row.try_get::<String>("", &column).ok())
    });
    let log = texts.collect::<Vec<_>>().join("\n").to_lowercase();

    assert!(log.contains("token_reuse") && log.contains("login_failed"), "{log}");
    let tail = |secret: &str| secret[secret.len() - 20..].to_owned();
    for secret in [
        PASSWORD.to_owned(),
        "wrong-canary".to_owned(),
        "typed-as-a-name".to_owned(),
        ADA.to_owned(),
        "sgr_".to_owned(),
        // A shorter prefix could occur in a key id, which is random base64url.
        ada.access_token[..10].to_owned(),
        "$argon2".to_owned(),
        tail(&ada.refresh_token),
        tail(&ada.access_token),
        tail(&hashes[0]),
    ] {
        assert!(!log.contains(&secret.to_lowercase()), "{secret} in\n{log}");
    }
}
