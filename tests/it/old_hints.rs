//! ID tokens as hints: after their key was removed from the key set, and at maximum length.

use reqwest::Method;

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, authorization_query};
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually, forge};

const ADA: &str = "ada@example.test";

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.keys.key_reload_seconds = 1;
        config.tokens.access_token_seconds = 900;
        config.limits.account_attempts_per_minute = 1_000;
    })
    .await
}

async fn run(server: &TestServer, arguments: &[&str]) {
    let program = Program::new(&server.database)
        .with("SIGNET_KEY_RELOAD_SECONDS", "1")
        .with("SIGNET_ACCESS_TOKEN_SECONDS", "900");
    let output = program.run(arguments).await;
    assert!(output.status.success(), "{output:?}");
}

fn kid_of(token: &str) -> String {
    forge::parts(token).0["kid"].as_str().unwrap().to_owned()
}

async fn is_published(server: &TestServer, kid: &str) -> bool {
    server.jwks().await["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid)
}

/// A logged-in user, and an ID token whose key has left the key set.
async fn logged_in_long_ago(server: &TestServer) -> (Browser<'_>, String) {
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    let hint = server.redeem(&web, &code).await.text("id_token");
    let kid = kid_of(&hint);
    run(server, &["keys", "rotate"]).await;
    eventually("the next key is published", async || {
        server.jwks().await["keys"].as_array().unwrap().len() == 2
    })
    .await;
    // The command used the real clock, which may be ahead of the test's clock by some seconds.
    server.advance_seconds(365 + 60);
    eventually("the next key signs", async || {
        let tokens = server.log_in(ADA, PASSWORD).await.tokens();
        kid_of(&tokens.access_token) != kid
    })
    .await;
    server.advance_seconds(900 + 60);
    eventually("the previous key is removed", async || !is_published(server, &kid).await).await;
    (browser, hint)
}

async fn authorize_silently(browser: &mut Browser<'_>, hint: &str) -> Answer {
    browser.authorize(&[("prompt", "none"), ("id_token_hint", hint)]).await
}

/// MUST-068: a login can last longer than the key of its ID token is published. The ID token must
/// still work as a hint.
#[tokio::test]
async fn hint_stays_valid_after_its_key_left_the_key_set() {
    let server = server().await;
    let (mut browser, hint) = logged_in_long_ago(&server).await;

    let silent = authorize_silently(&mut browser, &hint).await;
    assert!(silent.sent_to(CALLBACK).contains_key("code"));
    server.userinfo(&hint).await.expect_oauth_error(401, "invalid_token");
    let cookie = browser.cookie.take();
    let restarted = server.restart().await;
    let mut again = Browser::of(&restarted);
    again.cookie = cookie;
    let out = again.get(&format!("/oauth2/logout?id_token_hint={hint}")).await;

    assert_eq!(out.location(), format!("{ISSUER}/logout"));
    let silent = authorize_silently(&mut again, &hint).await;
    assert_eq!(silent.sent_to(CALLBACK)["error"], "login_required");
}

/// KY-09: tokens of a revoked key are never accepted, even if the key was removed from the key set
/// before it was revoked.
#[tokio::test]
async fn hint_signed_by_a_revoked_key_is_rejected() {
    let server = server().await;
    let (mut browser, hint) = logged_in_long_ago(&server).await;

    run(&server, &["keys", "revoke", &kid_of(&hint), "--now"]).await;

    let cookie = browser.cookie.clone();
    eventually("the token is rejected", async || {
        let mut browser = Browser::of(&server);
        browser.cookie.clone_from(&cookie);
        let silent = authorize_silently(&mut browser, &hint).await;
        silent.sent_to(CALLBACK).contains_key("error")
    })
    .await;
    let answer = authorize_silently(&mut browser, &hint).await;
    assert_eq!(answer.sent_to(CALLBACK)["error"], "invalid_request");
    browser.get(&format!("/oauth2/logout?id_token_hint={hint}")).await.expect_status(400);
}

/// The nonce has the maximum length, and JSON escapes each of its bytes as two.
#[tokio::test]
async fn longest_id_token_works_as_a_hint() {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;
    let body = authorization_query(&[("nonce", &"\"".repeat(4_096)), ("prompt", "none")]);
    let form = browser
        .request(Method::POST, "/oauth2/authorize")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let code = browser.send(form).await.sent_to(CALLBACK)["code"].clone();
    let hint = server.redeem(&web, &code).await.text("id_token");
    assert!(hint.len() > 11_000, "{}", hint.len());

    let answer = browser.post("/oauth2/logout", &[("id_token_hint", &hint)]).await;

    assert_eq!(answer.location(), format!("{ISSUER}/logout"));
}
