//! Public clients: their id is not a secret, so possession of a token is the only proof.

use crate::harness::oauth::{Browser, Rp, VERIFIER, WEB_CLIENT};
use crate::harness::{Answer, TestServer};

const ADA: &str = "ada@example.test";
const CALLBACK: &str = "http://127.0.0.1:5005/cb";

const APP: &str = r#"
[[client]]
client_id = "app"
application_type = "native"
token_endpoint_auth_method = "none"
redirect_uris = ["http://127.0.0.1/cb"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid offline_access"
"#;

/// A server with a confidential web client.
async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web = server.register_clients(&[WEB_CLIENT, APP].concat()).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    (server, web)
}

/// A request with the app's client id.
async fn as_app(server: &TestServer, path: &str, fields: &[(&str, &str)]) -> Answer {
    let fields = [&[("client_id", "app")], fields].concat();
    Answer::of(server.form(path, &fields)).await
}

async fn refresh(server: &TestServer, token: &str) -> Answer {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    as_app(server, "/oauth2/token", &fields).await
}

async fn redeem(server: &TestServer, code: &str, redirect_uri: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    as_app(server, "/oauth2/token", &fields).await
}

/// The app's tokens, after login and consent.
async fn tokens(server: &TestServer) -> Answer {
    let mut browser = Browser::of(server);
    let scope = "openid offline_access";
    let parameters = [("client_id", "app"), ("redirect_uri", CALLBACK), ("scope", scope)];
    let login = browser.authorize(&parameters).await;
    let consent = browser.log_in(&login, ADA).await.location();
    let page = browser.get(&consent).await;
    let allowed = browser.submit("/consent", &page, &[("decision", "allow")]).await;
    redeem(server, &allowed.sent_to(CALLBACK)["code"], CALLBACK).await
}

/// MUST-079: a code is bound to its client, even if the request needs no client authentication.
#[tokio::test]
async fn public_client_cannot_exchange_another_clients_code() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[]).await;

    for uri in [crate::harness::oauth::CALLBACK, CALLBACK] {
        redeem(&server, &code, uri).await.expect_oauth_error(400, "invalid_grant");
    }
}

/// MUST-116, MUST-117: each refresh rotates the token, and later reuse ends the session.
#[tokio::test]
async fn refresh_token_of_a_public_client_works_once() {
    let (server, _) = server().await;
    let first = tokens(&server).await.text("refresh_token");

    let second = refresh(&server, &first).await.text("refresh_token");
    assert_ne!(first, second);
    let third = refresh(&server, &second).await;
    server.advance_seconds(11);

    refresh(&server, &first).await.expect_oauth_error(400, "invalid_grant");
    let newest = refresh(&server, &third.text("refresh_token")).await;
    newest.expect_oauth_error(400, "invalid_grant");
    server.userinfo(&third.text("access_token")).await.expect_oauth_error(401, "invalid_token");
}

/// MUST-161, MUST-165: to revoke one of its own tokens, the client needs only its client id.
#[tokio::test]
async fn public_client_can_revoke_but_not_introspect_its_tokens() {
    let (server, web) = server().await;
    let tokens = tokens(&server).await;
    let access_token = tokens.text("access_token");
    let refresh_token = tokens.text("refresh_token");
    let mut browser = Browser::of(&server);
    server.advance_seconds(61);
    let code = browser.log_in_for_code(ADA, &[]).await;
    let web_token = server.redeem(&web, &code).await.text("access_token");

    let introspection = as_app(&server, "/oauth2/introspect", &[("token", &access_token)]).await;
    introspection.expect_oauth_error(401, "invalid_client");
    as_app(&server, "/oauth2/revoke", &[("token", &web_token)]).await.expect_status(200);
    server.userinfo(&web_token).await.expect_status(200);
    as_app(&server, "/oauth2/revoke", &[("token", &refresh_token)]).await.expect_status(200);

    server.userinfo(&access_token).await.expect_oauth_error(401, "invalid_token");
    refresh(&server, &refresh_token).await.expect_oauth_error(400, "invalid_grant");
}
