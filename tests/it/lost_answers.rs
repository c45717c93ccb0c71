//! Codes and client assertions whose response may have been lost in an outage.

use serde_json::Value;

use crate::harness::oauth::{Browser, CALLBACK, Rp, VERIFIER, WEB};
use crate::harness::{Answer, TestServer};

const OFFLINE: [(&str, &str); 1] = [("scope", "openid email offline_access")];

/// A server whose web client has exchanged a code, and the response.
async fn redeemed(more: &[(&str, &str)]) -> (TestServer, Rp, String, Answer) {
    let server = TestServer::start().await;
    let web = server.web().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let code = Browser::of(&server).code("ada@example.test", more).await;
    let answer = server.redeem(&web, &code).await;
    answer.expect_status(200);
    (server, web, code, answer)
}

/// The number of live sessions of the client, and of detected code reuses.
async fn state(server: &TestServer) -> (i64, i64) {
    let live = "session WHERE client_id = 'web' AND ended_at IS NULL";
    let reuse = "auth_event WHERE type = 'code_reuse'";
    (server.database.count(live).await, server.database.count(reuse).await)
}

fn session_of(answer: &Answer) -> Value {
    TestServer::claims(&answer.text("access_token"))["sid"].clone()
}

/// W2: a client that got a 503 and retries, at any instance, gets tokens of the same session, with
/// the same refresh token.
#[tokio::test]
async fn code_exchange_can_be_retried_after_an_outage() {
    for more in [&OFFLINE[..], &[]] {
        let (server, web, code, lost) = redeemed(more).await;
        server.outage(-1, 20).await;
        let other = server.beside().await;
        server.advance_seconds(29);

        let again = other.redeem(&web, &code).await;
        let twice = server.redeem(&web, &code).await;

        for again in [&again, &twice] {
            again.expect_status(200);
            assert_eq!(session_of(again), session_of(&lost));
            assert_eq!(again.json()["refresh_token"], lost.json()["refresh_token"]);
            assert_eq!(again.json()["scope"], lost.json()["scope"]);
            let nonce =
                |answer: &Answer| TestServer::claims(&answer.text("id_token"))["nonce"].clone();
            assert_eq!(nonce(again), nonce(&lost));
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

/// W2: outside an outage, reuse of a code is handled as usual.
#[tokio::test]
async fn code_reuse_outside_an_outage_ends_the_session() {
    // None; one that ended before; one that began after; one whose extension has expired.
    for outage in [None, Some((-30, -2)), Some((2, 20)), Some((-1, 1))] {
        let (server, web, code, _) = redeemed(&OFFLINE).await;
        if let Some((began, ended)) = outage {
            server.outage(began, ended).await;
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
        let (server, web, code, _) = redeemed(&OFFLINE).await;
        server.outage(-1, 1).await;
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

/// W2: after a refresh, a retry gets nothing and ends nothing; nor does it revive an ended session.
#[tokio::test]
async fn code_exchange_retry_is_rejected_after_a_refresh_or_logout() {
    let (server, web, code, first) = redeemed(&OFFLINE).await;
    server.outage(-1, 1).await;
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &first.text("refresh_token")[..])];
    server.token(&web, &fields).await.expect_status(200);
    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
    assert_eq!(state(&server).await, (1, 0), "an old request of the same client may arrive late");

    let (server, web, code, first) = redeemed(&OFFLINE).await;
    server.outage(-1, 1).await;
    let token = first.text("refresh_token");
    server.as_client(&web, "/oauth2/revoke", &[("token", &token)]).await.expect_status(200);
    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
    assert_eq!(state(&server).await, (0, 0));
}

/// W2: an attacker can prolong an outage by overload; a code stays valid for ten minutes at most.
#[tokio::test]
async fn code_exchange_retry_is_possible_for_ten_minutes_at_most() {
    for (seconds, live) in [(599, 1), (600, 0)] {
        let (server, web, code, _) = redeemed(&OFFLINE).await;
        server.advance_seconds(seconds);
        server.outage(-i64::try_from(seconds).unwrap() - 1, 0).await;

        let again = server.redeem(&web, &code).await;

        assert_eq!(again.status, if live == 1 { 200 } else { 400 }, "{again:?}");
        assert_eq!(state(&server).await, (live, 1 - live));
    }
}

/// W2: a retry gets no more than the client is registered for now.
#[tokio::test]
async fn code_exchange_retry_is_limited_to_the_current_registration() {
    let (server, web, code, first) = redeemed(&OFFLINE).await;
    server.outage(-1, 1).await;
    let narrowed = WEB.replace("openid email", "openid");
    assert_ne!(narrowed, WEB);
    server.apply(&narrowed).await;

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
    let web = server.web().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let code = Browser::of(&server).code("ada@example.test", &OFFLINE).await;
    server.redeem(&web, &code).await.expect_status(200);
    server.outage(-1, 1).await;

    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");

    assert_eq!(state(&server).await, (0, 1));
}

/// W10: an outage recorded by a clock that was ahead does not last until that time.
#[tokio::test]
async fn outage_recorded_in_the_future_allows_no_retry() {
    let (server, web, code, _) = redeemed(&OFFLINE).await;
    server.outage(-1, 40 * 24 * 60 * 60).await;
    server.advance_seconds(60);

    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");

    assert_eq!(state(&server).await, (0, 1));
}
