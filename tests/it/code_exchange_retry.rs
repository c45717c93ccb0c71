//! Retries of code exchanges whose response may have been lost in an outage.

use serde_json::Value;

use crate::harness::oauth::{Browser, CALLBACK, Rp, VERIFIER, WEB_CLIENT};
use crate::harness::{Answer, TestServer};

const OFFLINE: [(&str, &str); 1] = [("scope", "openid email offline_access")];

/// A server whose web client has exchanged a code, and the response.
async fn server_with_redeemed_code(more: &[(&str, &str)]) -> (TestServer, Rp, String, Answer) {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let code = Browser::of(&server).log_in_for_code("ada@example.test", more).await;
    let answer = server.redeem(&web, &code).await;
    answer.expect_status(200);
    (server, web, code, answer)
}

/// The numbers of live sessions of the client and of detected code reuses.
async fn state(server: &TestServer) -> (i64, i64) {
    let live = "session WHERE client_id = 'web' AND ended_at IS NULL";
    let reuse = "auth_event WHERE type = 'code_reuse'";
    (server.database.count(live).await, server.database.count(reuse).await)
}

fn session_id(answer: &Answer) -> Value {
    TestServer::claims(&answer.text("access_token"))["sid"].clone()
}

/// W2: a client that got a 503 and retries, at any instance, gets tokens of the same session, with
/// the same refresh token.
#[tokio::test]
async fn code_exchange_can_be_retried_after_an_outage() {
    for more in [&OFFLINE[..], &[]] {
        let (server, web, code, first) = server_with_redeemed_code(more).await;
        server.record_outage(-1, 20).await;
        let other = server.another_instance().await;
        server.advance_seconds(29);

        let again = other.redeem(&web, &code).await;
        let twice = server.redeem(&web, &code).await;

        for again in [&again, &twice] {
            again.expect_status(200);
            assert_eq!(session_id(again), session_id(&first));
            assert_eq!(again.json()["refresh_token"], first.json()["refresh_token"]);
            assert_eq!(again.json()["scope"], first.json()["scope"]);
            let nonce =
                |answer: &Answer| TestServer::claims(&answer.text("id_token"))["nonce"].clone();
            assert_eq!(nonce(again), nonce(&first));
            server.userinfo(&again.text("access_token")).await.expect_status(200);
        }
        assert_eq!(state(&server).await, (1, 0));
        let retries = "auth_event WHERE type = 'code_redeemed' AND reason = 'retry'";
        assert_eq!(server.database.count(retries).await, 2);
        server.advance_seconds(1);
        server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
        assert_eq!(state(&server).await, (0, 1), "the retry window has passed");
    }
}

/// W2: outside an outage, reuse of a code ends the session.
#[tokio::test]
async fn code_reuse_outside_an_outage_ends_the_session() {
    // No outage; an outage that ended before the exchange; one that began after it; one whose
    // extension of the retry window has expired.
    for outage in [None, Some((-30, -2)), Some((2, 20)), Some((-1, 1))] {
        let (server, web, code, _) = server_with_redeemed_code(&OFFLINE).await;
        if let Some((began, ended)) = outage {
            server.record_outage(began, ended).await;
        }
        server.advance_seconds(20);

        server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");

        assert_eq!(state(&server).await, (0, 1), "{outage:?}");
    }
}

/// W2: a retry needs the same proof as the first exchange.
#[tokio::test]
async fn code_exchange_retry_needs_the_same_proof() {
    let other_verifier = "x".repeat(43);
    for (redirect_uri, verifier) in [
        (CALLBACK, other_verifier.as_str()),
        ("https://rp.example/other", VERIFIER),
        (CALLBACK, "-"),
    ] {
        let (server, web, code, _) = server_with_redeemed_code(&OFFLINE).await;
        server.record_outage(-1, 1).await;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        fields.retain(|(_, value)| *value != "-");

        server.token(&web, &fields).await.expect_oauth_error(400, "invalid_grant");

        assert_eq!(state(&server).await, (0, 1));
    }
}

/// W2: after a refresh, a retry is rejected but does not end the session. After a logout, a retry
/// does not restore the session.
#[tokio::test]
async fn code_exchange_retry_is_rejected_after_a_refresh_or_logout() {
    let (server, web, code, first) = server_with_redeemed_code(&OFFLINE).await;
    server.record_outage(-1, 1).await;
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &first.text("refresh_token")[..])];
    server.token(&web, &fields).await.expect_status(200);
    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
    assert_eq!(state(&server).await, (1, 0), "an old request of the same client may arrive late");

    let (server, web, code, first) = server_with_redeemed_code(&OFFLINE).await;
    server.record_outage(-1, 1).await;
    let token = first.text("refresh_token");
    server.as_client(&web, "/oauth2/revoke", &[("token", &token)]).await.expect_status(200);
    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
    assert_eq!(state(&server).await, (0, 0));
}

/// W2: an attacker can prolong an outage by overload, so a code can be retried for at most ten
/// minutes.
#[tokio::test]
async fn code_exchange_retry_is_possible_for_ten_minutes_at_most() {
    for (seconds, live) in [(599, 1), (600, 0)] {
        let (server, web, code, _) = server_with_redeemed_code(&OFFLINE).await;
        server.advance_seconds(seconds);
        server.record_outage(-i64::try_from(seconds).unwrap() - 1, 0).await;

        let again = server.redeem(&web, &code).await;

        assert_eq!(again.status, if live == 1 { 200 } else { 400 }, "{again:?}");
        assert_eq!(state(&server).await, (live, 1 - live));
    }
}

/// W2: a retry gets only scopes that the client is registered for now.
#[tokio::test]
async fn code_exchange_retry_is_limited_to_the_current_registration() {
    let (server, web, code, first) = server_with_redeemed_code(&OFFLINE).await;
    server.record_outage(-1, 1).await;
    let narrowed = WEB_CLIENT.replace("openid email", "openid");
    assert_ne!(narrowed, WEB_CLIENT);
    server.register_clients(&narrowed).await;

    let again = server.redeem(&web, &code).await;

    let scopes = |answer: &Answer| answer.text("scope");
    assert!(scopes(&first).contains("email"), "{first:?}");
    again.expect_status(200);
    assert!(!scopes(&again).contains("email"), "{again:?}");
}

/// W2: without a retry window there are no retries.
#[tokio::test]
async fn code_exchange_retry_needs_a_retry_window() {
    let server = TestServer::with(|config| config.tokens.refresh_retry_seconds = 0).await;
    let web = server.register_web_client().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let code = Browser::of(&server).log_in_for_code("ada@example.test", &OFFLINE).await;
    server.redeem(&web, &code).await.expect_status(200);
    server.record_outage(-1, 1).await;

    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");

    assert_eq!(state(&server).await, (0, 1));
}

/// W10: an outage that was recorded while the clock was ahead does not last until its recorded end.
#[tokio::test]
async fn outage_recorded_in_the_future_allows_no_retry() {
    let (server, web, code, _) = server_with_redeemed_code(&OFFLINE).await;
    server.record_outage(-1, 40 * 24 * 60 * 60).await;
    server.advance_seconds(60);

    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");

    assert_eq!(state(&server).await, (0, 1));
}
