//! The main use case: sign up, access a service that has only the public key, refresh, log out.

use signet_verifier::{KeySet, Verifier};

use crate::harness::{PASSWORD, TestServer};

fn identity_seen_by_a_service(
    server: &TestServer,
    jwks: &[u8],
    token: &str,
) -> signet_verifier::AccessToken {
    let verifier = Verifier::new("https://id.example.test", "https://api.example.test");
    let keys = KeySet::from_json(jwks).unwrap();
    verifier.verify(&keys, token, server.clock.now().as_seconds()).unwrap()
}

#[tokio::test]
async fn service_with_only_the_public_key_identifies_the_user() {
    let server = TestServer::start().await;

    let signed_up = server.sign_up("ada@example.test").await;
    let jwks = server.get("/.well-known/jwks.json").await;

    signed_up.expect_status(201);
    let tokens = signed_up.tokens();
    let token = identity_seen_by_a_service(&server, &jwks.body, &tokens.access_token);
    assert_eq!(token.email(), Some("ada@example.test"));
    assert!(token.require_user(&tokens.user_id.to_string()).is_ok());
    assert_eq!(token.expires_at() - token.issued_at(), 24 * 60 * 60);
    assert_eq!(signed_up.json()["token"], signed_up.json()["access_token"]);
    assert_eq!(signed_up.json()["expires_in"], 24 * 60 * 60);
}

#[tokio::test]
async fn user_logs_in_refreshes_and_logs_out() {
    let server = TestServer::start().await;
    let signed_up = server.sign_up("ada@example.test").await.tokens();

    let logged_in = server.log_in("ADA@example.test", PASSWORD).await.expect_status(200).tokens();
    let refreshed = server.refresh(&logged_in.refresh_token).await.expect_status(200).tokens();
    let me = server.me(&refreshed.access_token).await;
    let logged_out = server.log_out(&refreshed.access_token).await;

    assert_eq!(logged_in.user_id, signed_up.user_id);
    assert_eq!(me.expect_status(200).json()["email"], "ada@example.test");
    assert_eq!(logged_out.expect_status(200).json()["message"], "Logged out successfully");
    let refused = server.refresh(&refreshed.refresh_token).await;
    let error = refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_eq!(error["error"]["message"], "Invalid refresh token");
    server.me(&refreshed.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.log_out(&refreshed.access_token).await.expect_error(401, "UNAUTHORIZED");
    // Another session of the same user stays live.
    server.refresh(&signed_up.refresh_token).await.expect_status(200);
    let events = server.database.events().await;
    assert_eq!(events, ["signup", "login", "token_refreshed", "logout", "token_refreshed"],);
}
