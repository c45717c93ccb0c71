//! Consents in the JSON API.

use serde_json::json;

use crate::harness::consents::{CONSENT_CLIENTS, consent_request};
use crate::harness::forge::{Forge, parts};
use crate::harness::oauth::{Browser, Rp};
use crate::harness::{PASSWORD, TestServer};

const ADA: &str = "ada@example.test";

/// Grants consent to the client `asking`; returns the client's access token.
async fn token_after_consent(server: &TestServer, app: &Rp) -> String {
    let mut browser = Browser::of(server);
    browser.log_in_without_request(ADA).await;
    let redirect = browser.authorize(&consent_request("openid email")).await;
    let code = browser.grant_consent(&redirect).await;
    server.redeem(app, &code).await.text("access_token")
}

async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let app = server.register_clients(CONSENT_CLIENTS).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    (server, app)
}

/// N-57: consents can be reviewed and withdrawn without the hosted pages.
#[tokio::test]
async fn consent_is_listed_and_withdrawn() {
    let (server, app) = server().await;
    let token = token_after_consent(&server, &app).await;
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();

    let listed = server.consents(&api_login.access_token).await;
    let answer = server.withdraw_consent(&api_login.access_token, "asking").await;

    listed.expect_status(200);
    assert_eq!(
        listed.json(),
        json!({ "consents": [{
            "client_id": "asking",
            "client_name": "Asking <App>",
            "granted_at": server.clock.now().to_rfc3339(),
            "access": [{ "audience": "https://tasks.example/v1", "scope": "openid email" }],
            "claims": [],
        }] })
    );
    answer.expect_status(204);
    assert!(answer.body.is_empty());
    server.userinfo(&token).await.expect_oauth_error(401, "invalid_token");
    server.me(&api_login.access_token).await.expect_status(200);
    let listed = server.consents(&api_login.access_token).await;
    assert_eq!(listed.json(), json!({ "consents": [] }));
    let again = server.withdraw_consent(&api_login.access_token, "asking").await;
    again.expect_error(404, "NOT_FOUND");
    let session_ids = "SELECT session_id FROM auth_event WHERE type = 'consent_withdrawn'";
    let session_ids = server.database.column::<sea_orm::prelude::Uuid>(session_ids).await;
    assert_eq!(session_ids[0].to_string(), TestServer::session_id(&api_login.access_token));
}

/// EN-08: a missing consent and a consent of another account get the same response.
#[tokio::test]
async fn consent_of_another_account_is_not_found() {
    let (server, app) = server().await;
    let token = token_after_consent(&server, &app).await;
    let bob = server.sign_up("bob@example.test").await.tokens();

    let mut errors = Vec::new();
    for id in ["asking", "plain", "nobody", "signet", "%00", "%C3%BC", "a%2Fb", &"x".repeat(200)] {
        let answer = server.withdraw_consent(&bob.access_token, id).await;
        errors.push(answer.expect_error(404, "NOT_FOUND")["error"].clone());
    }

    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    let listed = server.consents(&bob.access_token).await;
    assert_eq!(listed.json(), json!({ "consents": [] }));
    server.userinfo(&token).await.expect_status(200);
    let garbled = server.withdraw_consent(&bob.access_token, "%ff").await;
    garbled.expect_error(400, "VALIDATION_ERROR");
}

/// Client ids may be URLs.
#[tokio::test]
async fn consent_path_accepts_any_client_id() {
    let id = "https://app.example/%7Eme?x=y";
    let server = TestServer::start().await;
    server.register_clients(&CONSENT_CLIENTS.replace("\"asking\"", &format!("\"{id}\""))).await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let redirect = browser.authorize(&[("client_id", id), ("scope", "openid")]).await;
    browser.grant_consent(&redirect).await;
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();

    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let answer = server.withdraw_consent(&api_login.access_token, &encoded).await;

    answer.expect_status(204);
    assert_eq!(server.database.count("consent").await, 0);
}

/// AZ-02: client tokens do not give access to consents.
#[tokio::test]
async fn client_token_cannot_list_or_withdraw_consents() {
    let (server, app) = server().await;
    let token = token_after_consent(&server, &app).await;
    let api_login = server.log_in(ADA, PASSWORD).await.tokens();
    let forge = Forge::open(&server.database).await;
    let (header, mut claims) = parts(&api_login.access_token);
    claims["client_id"] = json!("asking");
    let foreign = forge.sign(&header, &claims);
    let logged_out = server.log_in(ADA, PASSWORD).await.tokens();
    server.log_out(&logged_out.access_token).await.expect_status(200);

    for token in [&token, &foreign, &logged_out.access_token] {
        server.consents(token).await.expect_error(401, "UNAUTHORIZED");
        let answer = server.withdraw_consent(token, "asking").await;
        answer.expect_error(401, "UNAUTHORIZED");
    }

    assert_eq!(server.database.count("consent").await, 1);
}
