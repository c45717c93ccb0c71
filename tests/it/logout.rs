//! Logout at the provider, and back-channel notices to clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB_CLIENT, hidden_fields};
use crate::harness::{Answer, TestServer, eventually, forge};

const ADA: &str = "ada@example.test";
const POST_LOGOUT_URI: &str = "https://rp.example/bye";
const PROBE: &str = "\"><script>alert(1)</script>";

async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    server.sign_up("bob@example.test").await.expect_status(201);
    (server, web)
}

fn logout_url(fields: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("/oauth2/logout?{query}")
}

async fn log_in_and_redeem<'s>(server: &'s TestServer, web: &Rp) -> (Browser<'s>, Answer) {
    let mut browser = Browser::of(server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    let tokens = server.redeem(web, &code).await;
    (browser, tokens)
}

async fn is_logged_in(browser: &mut Browser<'_>) -> bool {
    browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK).contains_key("code")
}

/// MUST-171, MUST-176, MUST-177, MUST-178: a client with an ID token logs its user out, and the
/// browser is redirected to the client.
#[tokio::test]
async fn logout_with_an_id_token_hint_redirects_to_the_client() {
    let (server, web) = server().await;

    for by_post in [false, true] {
        server.advance_seconds(61);
        let (mut browser, tokens) = log_in_and_redeem(&server, &web).await;
        let hint = tokens.text("id_token");
        let fields = [
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", POST_LOGOUT_URI),
            ("state", "a&b=\"ü"),
        ];
        let answer = if by_post {
            browser.post("/oauth2/logout", &fields).await
        } else {
            browser.get(&logout_url(&fields)).await
        };

        assert_eq!(answer.location(), format!("{POST_LOGOUT_URI}?state=a%26b%3D%22%C3%BC"));
        assert!(browser.cookie.is_none());
        server
            .userinfo(&tokens.text("access_token"))
            .await
            .expect_oauth_error(401, "invalid_token");
        assert!(!is_logged_in(&mut browser).await);
        // MUST-178: a logout without a login is redirected, too.
        let again = browser.get(&logout_url(&fields[..2])).await;
        assert_eq!(again.location(), POST_LOGOUT_URI);
    }
    // A form from another site is sent without the cookie. It is redirected to a GET, which is sent
    // with the cookie.
    let (mut browser, tokens) = log_in_and_redeem(&server, &web).await;
    let cookie = browser.cookie.take();
    let hint = tokens.text("id_token");
    let redirect = browser.post("/oauth2/logout", &[("id_token_hint", &hint)]).await.location();
    browser.cookie = cookie;
    browser.get(&redirect).await.expect_status(303);
    assert!(!is_logged_in(&mut browser).await);
}

/// MUST-058, MUST-172..175, RU-04, SS-08: a link without a matching ID token does not log out, and
/// no link redirects to an unregistered URI.
#[tokio::test]
async fn logout_without_an_id_token_asks_for_confirmation() {
    let (server, web) = server().await;
    let (mut browser, tokens) = log_in_and_redeem(&server, &web).await;
    let hint = tokens.text("id_token");
    server.advance_seconds(61);
    let mut bob = Browser::of(&server);
    bob.log_in_for_code("bob@example.test", &[]).await;

    for fields in [
        &[][..],
        &[("state", "x")],
        &[("client_id", "web")],
        &[("client_id", "web"), ("post_logout_redirect_uri", POST_LOGOUT_URI)],
    ] {
        let confirmation = browser.get(&logout_url(fields)).await;
        confirmation.expect_status(200);
        let html = String::from_utf8(confirmation.body.clone()).unwrap();
        assert!(html.contains("id=\"logout-confirm\""));
    }
    let confirmation = browser.get(&logout_url(&[("state", PROBE), ("client_id", PROBE)])).await;
    assert!(
        confirmation.html().contains("&#60;script&#62;")
            && !confirmation.html().contains("<script>")
    );
    // An ID token of another user's login.
    bob.get(&logout_url(&[("id_token_hint", &hint)])).await.expect_status(200);
    assert!(is_logged_in(&mut bob).await);

    for uri in [
        "https://rp.example/bye/",
        "https://rp.example/bye?x=y",
        "https://rp.example/cb",
        "https://evil.example",
        "//evil.example",
        "javascript:alert(1)",
    ] {
        let answer = browser
            .get(&logout_url(&[("id_token_hint", &hint), ("post_logout_redirect_uri", uri)]))
            .await;
        answer.expect_status(400);
        assert!(!answer.headers.contains_key("location"));
    }
    let forge = forge::Forge::open(&server.database).await;
    let claims = TestServer::claims(&hint);
    let encoded = |value: &Value| forge::encode(value.to_string());
    let access_token = tokens.text("access_token");
    for forged in [
        format!("{}.{}.", encoded(&json!({ "alg": "none" })), encoded(&claims)),
        forge::sign_hmac(
            web.secret.as_ref().unwrap().as_bytes(),
            &json!({ "alg": "HS256" }),
            &claims,
        ),
        forge.sign(&json!({ "alg": "RS256", "typ": "JWT", "kid": "other" }), &claims),
        access_token,
    ] {
        let fields =
            [("id_token_hint", forged.as_str()), ("post_logout_redirect_uri", POST_LOGOUT_URI)];
        browser.get(&logout_url(&fields)).await.expect_status(400);
    }
    let other = [("id_token_hint", hint.as_str()), ("client_id", "other")];
    browser.get(&logout_url(&other)).await.expect_status(400);
    assert!(is_logged_in(&mut browser).await);
}

/// MUST-174, MUST-175, MUST-177: a user who confirms is logged out, and redirected if the client
/// has registered the URI.
#[tokio::test]
async fn confirmed_logout_ends_the_login() {
    let (server, web) = server().await;
    let (_, old) = log_in_and_redeem(&server, &web).await;
    let hint = old.text("id_token");
    server.advance_seconds(61);
    let (mut browser, _) = log_in_and_redeem(&server, &web).await;
    let fields = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", POST_LOGOUT_URI),
        ("state", "s"),
    ];

    let confirmation = browser.get(&logout_url(&fields)).await;
    confirmation.expect_status(200);
    assert!(
        confirmation
            .header("content-security-policy")
            .contains("form-action 'self' https://rp.example;")
    );
    let mut without: Vec<_> = hidden_fields(&confirmation);
    without.retain(|(name, _)| name != "csrf");
    let without: Vec<_> = without.iter().map(|(name, value)| (&**name, &**value)).collect();
    // A form without the CSRF token may be older than the last login, so it is not accepted.
    browser.post("/logout", &without).await.expect_status(400);
    assert!(is_logged_in(&mut browser).await);
    let redirect = browser.submit("/logout", &confirmation, &[]).await;

    assert_eq!(redirect.location(), format!("{POST_LOGOUT_URI}?state=s"));
    assert!(!is_logged_in(&mut browser).await);
    let (mut browser, _) = log_in_and_redeem(&server, &web).await;
    let confirmation = browser.get("/logout").await;
    assert_eq!(
        browser.submit("/logout", &confirmation, &[]).await.location(),
        format!("{ISSUER}/logout")
    );
    browser.get("/logout").await.expect_status(200);
    // MUST-174: a confirmation without an ID token does not redirect to a client.
    let (mut browser, _) = log_in_and_redeem(&server, &web).await;
    let fields =
        [("client_id", "web"), ("post_logout_redirect_uri", POST_LOGOUT_URI), ("state", "s")];
    let confirmation = browser.get(&logout_url(&fields)).await;
    assert_eq!(
        browser.submit("/logout", &confirmation, &[]).await.location(),
        format!("{ISSUER}/logout")
    );
    assert!(!is_logged_in(&mut browser).await);
}

/// SS-11: another user's login in the same browser ends the previous one and its client sessions.
#[tokio::test]
async fn login_of_another_user_ends_the_previous_one() {
    let (server, web) = server().await;
    let (mut browser, adas) = log_in_and_redeem(&server, &web).await;
    server.advance_seconds(5);

    let login_page = browser.authorize(&[("prompt", "login")]).await;
    let redirect = browser.log_in(&login_page, "bob@example.test").await;
    let bobs = server.redeem(&web, &redirect.sent_to(CALLBACK)["code"]).await;

    server.userinfo(&adas.text("access_token")).await.expect_oauth_error(401, "invalid_token");
    server.userinfo(&bobs.text("access_token")).await.expect_status(200);
    // A login of the same user keeps the client sessions.
    server.advance_seconds(5);
    let login_page = browser.authorize(&[("prompt", "login")]).await;
    browser.log_in(&login_page, "bob@example.test").await;
    server.userinfo(&bobs.text("access_token")).await.expect_status(200);
}

/// A receiver of back-channel notices, which responds with each of `statuses` and then with 204,
/// and records the requests.
async fn receiver(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<String>>>) {
    slow_receiver(statuses, Duration::ZERO).await
}

/// Like [`receiver`], with a delay before each response.
async fn slow_receiver(
    statuses: &'static [u16],
    delay: Duration,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/backchannel", listener.local_addr().unwrap());
    let received = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&received);
    tokio::spawn(async move {
        for status in statuses.iter().chain(std::iter::repeat(&204)) {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            let mut chunk = [0; 8192];
            while !text.windows(13).any(|it| it == b"logout_token=") {
                let read = stream.read(&mut chunk).await.unwrap();
                text.extend_from_slice(&chunk[..read]);
            }
            recorded.lock().unwrap().push(String::from_utf8(text).unwrap());
            tokio::time::sleep(delay).await;
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (uri, received)
}

/// MUST-022, MUST-141, MUST-179, MUST-180: a client is notified of the logout, with retries until
/// it responds.
#[tokio::test]
async fn backchannel_logout_is_retried_until_acknowledged() {
    let server = TestServer::with(|config| config.service.logout_private_networks = true).await;
    let (uri, received) = receiver(&[500]).await;
    let web = server
        .register_clients(&format!("{WEB_CLIENT}backchannel_logout_uri = \"{uri}\"\n"))
        .await
        .remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let (mut browser, tokens) = log_in_and_redeem(&server, &web).await;
    let id = TestServer::claims(&tokens.text("id_token"));

    let confirmation = browser.get("/logout").await;
    browser.submit("/logout", &confirmation, &[]).await.expect_status(303);
    eventually("the first attempt", async || received.lock().unwrap().len() == 1).await;
    eventually("the notice is postponed", async || {
        server.database.count("outbox WHERE attempts = 1").await == 1
    })
    .await;
    server.advance_seconds(6);
    eventually("the second attempt", async || received.lock().unwrap().len() == 2).await;
    eventually("no notice is left", async || server.database.count("outbox").await == 0).await;

    let request = received.lock().unwrap()[1].clone();
    assert!(request.starts_with("POST /backchannel HTTP/1.1\r\n"));
    assert!(request.contains("content-type: application/x-www-form-urlencoded"));
    let token = request.split("logout_token=").nth(1).unwrap();
    let (header, claims) = forge::parts(token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("logout+jwt")));
    for claim in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[claim], id[claim], "{claim}");
    }
    assert_eq!(
        claims["events"],
        json!({ "http://schemas.openid.net/event/backchannel-logout": {} })
    );
    assert!(claims["jti"].is_string() && claims["iat"].is_u64());
    assert!(claims["exp"].as_u64() > claims["iat"].as_u64());
    // MUST-022: signed with the key that it names.
    assert!(forge::is_signed_by(&server.jwks().await, token));
    assert!(claims.get("nonce").is_none());
    // MUST-141: other endpoints reject it.
    server.userinfo(token).await.expect_oauth_error(401, "invalid_token");
}

/// A receiver that accepts connections and never responds, and the number of connections.
async fn silent_receiver() -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/backchannel", listener.local_addr().unwrap());
    let request_count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&request_count);
    tokio::spawn(async move {
        let mut connections = Vec::new();
        loop {
            connections.push(listener.accept().await.unwrap());
            *counted.lock().unwrap() += 1;
        }
    });
    (uri, request_count)
}

/// A client that never responds does not delay notices to other clients, regardless of the number
/// of its own notices. It soon gets only one request at a time.
#[tokio::test]
async fn unresponsive_client_does_not_delay_notices_to_others() {
    let server = TestServer::with(|config| config.service.logout_private_networks = true).await;
    let (silent, request_count) = silent_receiver().await;
    let (answering, received) = receiver(&[]).await;
    let shop = WEB_CLIENT.replace("\"web\"", "\"shop\"");
    let uri = "backchannel_logout_uri";
    let clients = format!("{WEB_CLIENT}{uri} = \"{silent}\"\n{shop}{uri} = \"{answering}\"\n");
    let clients = server.register_clients(&clients).await;
    server.sign_up(ADA).await.expect_status(201);
    server.sign_up("bob@example.test").await.expect_status(201);
    let (mut adas, _) = log_in_and_redeem(&server, &clients[0]).await;
    for _ in 0..20 {
        let again = adas.authorize(&[("prompt", "none")]).await;
        server.redeem(&clients[0], &again.sent_to(CALLBACK)["code"]).await.expect_status(200);
    }
    let mut bobs = Browser::of(&server);
    let code = bobs.log_in_for_code("bob@example.test", &[("client_id", "shop")]).await;
    server.redeem(&clients[1], &code).await.expect_status(200);

    for browser in [&mut adas, &mut bobs] {
        let page = browser.get("/logout").await;
        browser.submit("/logout", &page, &[]).await.expect_status(303);
        server.advance_seconds(1);
    }

    eventually("the other client is notified", async || received.lock().unwrap().len() == 1).await;
    assert!(*request_count.lock().unwrap() <= 4, "{request_count:?}");
    eventually("four requests have timed out", async || {
        server.database.count("outbox WHERE attempts = 1").await == 4
    })
    .await;
    assert_eq!(*request_count.lock().unwrap(), 4);
    server.advance_seconds(6);
    eventually("a fifth request is sent", async || *request_count.lock().unwrap() == 5).await;
    server.advance_seconds(60);
    eventually("the fifth request has timed out", async || {
        server.database.count("outbox WHERE attempts >= 1").await == 5
    })
    .await;
    assert!(*request_count.lock().unwrap() <= 6, "{request_count:?}");
}

/// Notices are not retried for more than a day.
#[tokio::test]
async fn backchannel_logout_is_retried_for_a_day_at_most() {
    let server = TestServer::with(|config| config.service.logout_private_networks = true).await;
    let (uri, received) = receiver(&[500, 500, 500]).await;
    let web = server
        .register_clients(&format!("{WEB_CLIENT}backchannel_logout_uri = \"{uri}\"\n"))
        .await
        .remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let (mut browser, _) = log_in_and_redeem(&server, &web).await;
    let page = browser.get("/logout").await;
    browser.submit("/logout", &page, &[]).await.expect_status(303);

    eventually("the first attempt", async || received.lock().unwrap().len() == 1).await;
    eventually("the notice is postponed", async || {
        server.database.count("outbox WHERE attempts = 1").await == 1
    })
    .await;
    server.advance_seconds(86_395);
    eventually("the second attempt", async || received.lock().unwrap().len() == 2).await;
    eventually("the notice is postponed again", async || {
        server.database.count("outbox WHERE attempts = 2").await == 1
    })
    .await;
    server.advance_seconds(3_600);

    eventually("the notice is dropped", async || server.database.count("outbox").await == 0).await;
    assert_eq!(received.lock().unwrap().len(), 3);
}

/// Each notice is sent by only one of several instances.
#[tokio::test]
async fn backchannel_logout_is_sent_by_one_instance() {
    let server = TestServer::with(|config| config.service.logout_private_networks = true).await;
    let _others = (server.another_instance().await, server.another_instance().await);
    // The other instances look for due notices while this one waits for the response.
    let (uri, received) = slow_receiver(&[], Duration::from_millis(1_200)).await;
    let web = server
        .register_clients(&format!("{WEB_CLIENT}backchannel_logout_uri = \"{uri}\"\n"))
        .await
        .remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let (mut browser, _) = log_in_and_redeem(&server, &web).await;
    for _ in 0..2 {
        let again = browser.authorize(&[("prompt", "none")]).await;
        server.redeem(&web, &again.sent_to(CALLBACK)["code"]).await.expect_status(200);
    }
    let page = browser.get("/logout").await;
    browser.submit("/logout", &page, &[]).await.expect_status(303);

    eventually("no notice is left", async || server.database.count("outbox").await == 0).await;
    let mut sids: Vec<_> = received.lock().unwrap().iter().map(|it| sid_of(it)).collect();
    assert_eq!(sids.len(), 3);
    sids.sort();
    sids.dedup();
    assert_eq!(sids.len(), 3);
}

/// The session id in a received logout token.
fn sid_of(request: &str) -> String {
    let (_, claims) = forge::parts(request.split("logout_token=").nth(1).unwrap());
    claims["sid"].as_str().unwrap().to_owned()
}

/// Back-Channel Logout 2.7: sessions with `offline_access` survive the logout, and the client is
/// notified.
#[tokio::test]
async fn offline_session_survives_logout() {
    let server = TestServer::with(|config| config.service.logout_private_networks = true).await;
    let (uri, received) = receiver(&[]).await;
    let web = server
        .register_clients(&format!("{WEB_CLIENT}backchannel_logout_uri = \"{uri}\"\n"))
        .await
        .remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[("scope", "openid offline_access")]).await;
    let tokens = server.redeem(&web, &code).await;

    let confirmation = browser.get("/logout").await;
    browser.submit("/logout", &confirmation, &[]).await.expect_status(303);

    eventually("the notice is sent", async || received.lock().unwrap().len() == 1).await;
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    server.token(&web, &fields).await.expect_status(200);
}

/// Notices are not sent to private networks unless the operator allows it.
#[tokio::test]
async fn backchannel_logout_is_not_sent_to_private_networks() {
    let server = TestServer::start().await;
    let (uri, received) = receiver(&[]).await;
    for host in ["127.0.0.1", "localhost"] {
        let uri = uri.replace("127.0.0.1", host);
        let web = server
            .register_clients(&format!("{WEB_CLIENT}backchannel_logout_uri = \"{uri}\"\n"))
            .await;
        let web = if let Some(secret) = &web[0].secret {
            Rp { secret: Some(secret.clone()), ..web[0].clone() }
        } else {
            let program = crate::harness::Program::new(&server.database);
            let output = program.run(&["client", "rotate-secret", "web"]).await;
            Rp {
                id: "web".to_owned(),
                secret: Some(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
            }
        };
        let _ = server.sign_up(ADA).await;
        server.advance_seconds(61);
        let (mut browser, _) = log_in_and_redeem(&server, &web).await;
        let confirmation = browser.get("/logout").await;
        browser.submit("/logout", &confirmation, &[]).await.expect_status(303);
        eventually("the notice is postponed", async || {
            server.database.count("outbox WHERE attempts >= 1").await >= 1
        })
        .await;
    }
    assert!(received.lock().unwrap().is_empty());
}
