//! Invalid parameters and methods at the protocol endpoints and hosted pages.

use reqwest::Method;

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB_CLIENT, authorization_query};
use crate::harness::{Answer, Program, TestServer, forge};

const ADA: &str = "ada@example.test";

async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    (server, web)
}

/// MUST-210: a value with U+0000 is rejected before it reaches the database.
#[tokio::test]
async fn parameter_with_u_0000_is_rejected() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);

    for name in ["client_id", "state", "nonce", "login_hint", "scope", "redirect_uri", "x\0"] {
        let answer = browser.authorize(&[(name, "we\0b")]).await;
        answer.expect_status(400);
        assert!(!answer.headers.contains_key("location"), "{name:?}");
    }
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        let fields = [("token", "x\0"), ("grant_type", "client_credentials")];
        let answer = server.as_client(&web, path, &fields).await;
        answer.expect_oauth_error(400, "invalid_request");
        let nul = Rp { id: "we\0b".to_owned(), ..web.clone() };
        let answer = server.as_client(&nul, path, &[("token", "x")]).await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    let claims = forge::encode(r#"{"sub":"we\u0000b"}"#);
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &format!("e30.{claims}.x")),
    ];
    let answer = Answer::of(server.form("/oauth2/token", &fields)).await;
    answer.expect_oauth_error(401, "invalid_client");
    let answer = browser.get("/login?flow=%00").await;
    answer.expect_status(400);
}

/// Link previews may send HEAD requests.
#[tokio::test]
async fn head_request_issues_no_code_and_does_not_log_out() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    let tokens = server.redeem(&web, &code).await;
    let codes = server.database.count("authorization_code").await;
    let hint = tokens.text("id_token");

    let logout = format!("/oauth2/logout?id_token_hint={hint}");
    let authorize = format!("/oauth2/authorize?{}", authorization_query(&[("prompt", "none")]));
    for path in [authorize, logout] {
        let cookie = browser.cookie.clone().unwrap();
        let head = server.request(Method::HEAD, &path).header("cookie", cookie);
        let head = Answer::of(head).await;
        head.expect_status(405);
        assert_eq!(head.header("allow"), "GET, POST");
    }

    assert_eq!(server.database.count("authorization_code").await, codes);
    server.userinfo(&tokens.text("access_token")).await.expect_status(200);
}

/// MUST-030: both GET and POST requests are rejected.
#[tokio::test]
async fn logout_request_with_duplicate_parameters_is_rejected() {
    let (server, _) = server().await;
    let twice = [("client_id", "web"), ("client_id", "other"), ("state", "x")];

    let by_form = Answer::of(server.form("/oauth2/logout", &twice)).await;
    let by_link = Browser::of(&server).get("/oauth2/logout?client_id=web&client_id=other").await;

    for answer in [by_form, by_link] {
        answer.expect_status(400);
        assert!(!answer.headers.contains_key("location"));
    }
}

/// RL-09: requests are counted before the client is looked up, whether or not it exists.
#[tokio::test]
async fn requests_of_unknown_clients_are_rate_limited() {
    let server = TestServer::with(|config| config.limits.refreshes_per_minute = 10).await;
    let path = format!("/oauth2/authorize?{}", authorization_query(&[("client_id", "nobody")]));
    let from = |address: &'static str| {
        Answer::of(server.request(Method::GET, &path).header("x-forwarded-for", address))
    };

    let mut statuses = Vec::new();
    for _ in 0..100 {
        statuses.push(from("203.0.113.7").await.status);
    }

    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(statuses[0] == 400 && refused >= 50, "{statuses:?}");
    assert_eq!(from("203.0.113.8").await.status, 400);
}

/// MUST-135: no resource server accepts the tokens of a client without an audience. This includes a
/// resource server whose audience is the issuer, which is the default without `SIGNET_AUDIENCE`.
#[tokio::test]
async fn token_of_a_client_without_audiences_works_at_userinfo_only() {
    let server = TestServer::with(|config| config.service.audience = None).await;
    let bare = WEB_CLIENT.replace("audiences = [\"https://api.example.test\"]\n", "");
    let web = server.register_clients(&bare).await.remove(0);
    let own = server.sign_up(ADA).await.tokens();
    assert_eq!(TestServer::claims(&own.access_token)["aud"], ISSUER);
    let mut browser = Browser::of(&server);

    let code = browser.log_in_for_code(ADA, &[("scope", "openid tasks:read")]).await;
    let token = server.redeem(&web, &code).await.text("access_token");

    assert_eq!(TestServer::claims(&token)["aud"], format!("{ISSUER}/oauth2/userinfo"));
    server.userinfo(&token).await.expect_status(200);
    let answer = browser.authorize(&[("prompt", "none"), ("resource", ISSUER)]).await;
    assert_eq!(answer.sent_to(CALLBACK)["error"], "invalid_target");
}

/// MUST-135, RFC 9068 §5: otherwise a client's ID token could be mistaken for an access token.
#[tokio::test]
async fn client_id_must_differ_from_every_audience() {
    let server =
        TestServer::with(|config| config.service.audience = Some("tasks".to_owned())).await;
    server.register_clients(&WEB_CLIENT.replace("\"web\"", "\"tasks\"")).await;
    server.sign_up(ADA).await.expect_status(201);

    let answer = Browser::of(&server).authorize(&[("client_id", "tasks")]).await;

    assert_eq!(answer.sent_to(CALLBACK)["error"], "unauthorized_client");
    // The order of registration does not matter.
    let program = Program::new(&server.database);
    let create = async |id: &str, audience: &str| {
        let arguments =
            ["client", "create", id, "--redirect-uri", CALLBACK, "--audience", audience];
        program.run(&arguments).await
    };
    assert!(create("one", "https://one.example").await.status.success());
    assert!(create("urn:two", "https://two.example").await.status.success());
    for (id, audience) in [("https://one.example", "urn:x"), ("three", "urn:two")] {
        let output = create(id, audience).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains("both a client and an audience"),
            "{stderr}"
        );
    }
}
