//! Behaviour of the original application that tests of its clients expect. It needs the settings
//! listed in docs/decisions.md.

use serde_json::json;
use signet::config::{PasswordPolicy, RefreshReuse};

use crate::harness::oauth::Browser;
use crate::harness::{PASSWORD, TestServer};

const ADA: &str = "ada@example.test";

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.passwords.password_policy = PasswordPolicy::Original;
        config.tokens.refresh_reuse = RefreshReuse::Refuse;
    })
    .await
}

async fn reuses(server: &TestServer) -> i64 {
    server.database.count("auth_event WHERE type = 'token_reuse'").await
}

/// The rotation test of the original application, with the same steps and the same password.
#[tokio::test]
async fn used_refresh_token_is_rejected_and_its_successor_stays_valid() {
    let server = server().await;
    let credentials = json!({ "email": ADA, "password": "Password123" });
    server.post("/api/auth/signup", &credentials).await.expect_status(201);
    let first = server.post("/api/auth/login", &credentials).await.tokens();
    let second = server.refresh(&first.refresh_token).await.tokens();
    assert_ne!(first.refresh_token, second.refresh_token);

    let beside = server.another_instance().await;
    for instance in [&server, &beside] {
        let again = instance.refresh(&first.refresh_token).await;
        let envelope = again.expect_error(401, "INVALID_REFRESH_TOKEN");
        assert_eq!(envelope["error"]["message"], "Invalid refresh token");
    }
    assert_eq!(reuses(&server).await, 2, "the reuse is recorded anyway");
    let third = beside.refresh(&second.refresh_token).await.tokens();
    server.me(&third.access_token).await.expect_status(200);

    // Neither the reuse of an older token nor an outage ends the session.
    server.record_outage(-2, 5).await;
    for spent in [&first, &second] {
        server.refresh(&spent.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    server.refresh(&third.refresh_token).await.expect_status(200);
}

/// At the token endpoint, reuse detection stays in effect.
#[tokio::test]
async fn token_endpoint_still_ends_the_session_on_reuse() {
    let server = server().await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let more = [("scope", "openid offline_access")];
    let code = Browser::of(&server).log_in_for_code(ADA, &more).await;
    let first = server.redeem(&web, &code).await.text("refresh_token");
    let refresh = async |token: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        server.token(&web, &fields).await
    };
    let second = refresh(&first).await.text("refresh_token");
    assert_eq!(refresh(&first).await.text("refresh_token"), second, "a retry");
    let third = refresh(&second).await.text("refresh_token");

    refresh(&first).await.expect_oauth_error(400, "invalid_grant");

    refresh(&third).await.expect_oauth_error(400, "invalid_grant");
    assert_eq!(reuses(&server).await, 1);
}

/// Like the original application, Signet returns addresses in lower case.
#[tokio::test]
async fn addresses_are_returned_in_lower_case() {
    let server = server().await;
    let credentials = json!({ "email": "Ada.Lovelace@Example.TEST", "password": PASSWORD });

    let signed_up = server.post("/api/auth/signup", &credentials).await;
    let logged_in = server.post("/api/auth/login", &credentials).await;

    let tokens = logged_in.tokens();
    let refreshed = server.refresh(&tokens.refresh_token).await;
    let me = server.me(&tokens.access_token).await;
    for answer in [signed_up, logged_in, refreshed, me] {
        assert_eq!(answer.json()["email"], "ada.lovelace@example.test");
    }
}
