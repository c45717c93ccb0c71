//! The hosted pages: which forms are accepted, and where they redirect.

use std::time::Duration;

use serde_json::json;
use signet::config::SignUpMode;

use crate::harness::oauth::{
    Browser, CALLBACK, ISSUER, PAGES, Rp, WEB_CLIENT, csrf, flow, hidden_fields,
};
use crate::harness::{PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";

/// A client that requires consent.
const CONSENT_CLIENT: &str = r#"
[[client]]
client_id = "asking"
client_name = "Asking"
redirect_uris = ["https://rp.example/cb"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid email offline_access"
"#;

const NATIVE: &str = r#"
[[client]]
client_id = "native"
application_type = "native"
token_endpoint_auth_method = "none"
redirect_uris = ["http://127.0.0.1/cb"]
"#;

async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web =
        server.register_clients(&[WEB_CLIENT, CONSENT_CLIENT, NATIVE].concat()).await.remove(0);
    for email in [ADA, BOB] {
        server.sign_up(email).await.expect_status(201);
    }
    (server, web)
}

fn html(answer: &crate::harness::Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// MUST-054: the current header and the older one forbid frames.
#[track_caller]
fn assert_cannot_be_framed(page: &crate::harness::Answer) {
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("x-frame-options"), "DENY");
}

/// MUST-055, SS-04: a form without the browser's CSRF token, or from another site, has no effect.
#[tokio::test]
async fn form_without_a_valid_csrf_token_has_no_effect() {
    let (server, _) = server().await;
    let (mut browser, mut other_browser) = (Browser::of(&server), Browser::of(&server));
    let page = browser.authorize(&[]).await;
    let foreign = hidden_fields(&other_browser.authorize(&[]).await);
    let flow = &flow(&page);
    let csrf = |fields: &[(String, String)]| fields[0].1.clone();
    let credentials = [("username", ADA), ("password", PASSWORD)];

    for token in ["", "x", &csrf(&foreign)] {
        let fields = [&credentials[..], &[("csrf", token), ("flow", flow)]].concat();
        let refused = browser.post("/login", &fields).await;
        refused.expect_status(400);
    }
    let token = csrf(&hidden_fields(&page));
    let fields = [&credentials[..], &[("csrf", token.as_str()), ("flow", flow)]].concat();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = server
        .request(reqwest::Method::POST, "/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site")
        .body(body);
    browser.send(request).await.expect_status(400);
    assert_eq!(server.database.count("session WHERE cookie_digest IS NOT NULL").await, 0);

    let redirect = browser.submit("/login", &page, &credentials).await;
    assert!(redirect.sent_to(CALLBACK).contains_key("code"));
}

/// SS-01, SS-02, MUST-073: an attacker who plants a cookie or a request gets no access.
#[tokio::test]
async fn login_replaces_a_planted_cookie() {
    let (server, _) = server().await;
    let (mut attacker, mut victim) = (Browser::of(&server), Browser::of(&server));
    let planted = attacker.authorize(&[]).await;
    let before = attacker.cookie.clone();

    // The request alone, in another browser.
    let csrf = csrf(&victim.get("/login").await);
    let credentials = [("username", ADA), ("password", PASSWORD)];
    let sealed = flow(&planted);
    let alone = [&credentials[..], &[("csrf", &csrf), ("flow", &sealed)]].concat();
    victim.post("/login", &alone).await.expect_status(400);
    // With the attacker's cookie.
    victim.cookie.clone_from(&before);
    let page = planted.clone();
    let redirect =
        victim.submit("/login", &page, &[("username", ADA), ("password", PASSWORD)]).await;
    assert!(redirect.sent_to(CALLBACK).contains_key("code"));

    assert_ne!(victim.cookie, before);
    assert_eq!(attacker.cookie, before);
    assert_eq!(
        attacker.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK)["error"],
        "login_required"
    );
    assert!(attacker.get("/account").await.location().ends_with("/login"));
}

/// EN-01, MUST-205: an unknown address and a wrong password give the same page, and the same events
/// as at the JSON API.
#[tokio::test]
async fn login_page_does_not_distinguish_unknown_address_and_wrong_password() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/login").await;
    let attempt = async |browser: &mut Browser<'_>, email: &str| {
        let answer = browser
            .submit("/login", &page, &[("username", email), ("password", "Wrong-0000")])
            .await;
        let mut headers = answer.headers.clone();
        for varying in ["date", "x-request-id"] {
            headers.remove(varying).unwrap();
        }
        (answer.status, html(&answer).replace(email, "?"), headers)
    };

    // Addresses of equal length, so that the pages have equal length.
    let known = attempt(&mut browser, ADA).await;
    let unknown = attempt(&mut browser, "add@example.test").await;

    assert_eq!(known, unknown);
    assert_eq!(known.0, 400);
    assert!(!known.1.contains("Wrong-0000"));
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 2);
}

/// RL-06: the page and the JSON API share the account's limit.
#[tokio::test]
async fn login_page_shares_the_limits_of_the_api() {
    let (server, _) = server().await;
    for _ in 0..10 {
        server.log_in(ADA, "Wrong-0000").await.expect_status(401);
    }
    let mut browser = Browser::of(&server);
    let page = browser.get("/login").await;

    let refused =
        browser.submit("/login", &page, &[("username", ADA), ("password", PASSWORD)]).await;

    refused.expect_status(429);
    assert_eq!(refused.header("retry-after"), "60");
}

/// MUST-057, RU-05, MUST-058, IJ-01: no parameter causes a redirect to another site or is executed.
#[tokio::test]
async fn parameters_cause_no_redirect_and_no_script_injection() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let probe = "\"><script>alert(1)</script>";
    let page = browser.authorize(&[("login_hint", probe)]).await;
    assert!(!html(&page).contains("<script>"), "{}", html(&page));
    assert!(html(&page).contains("Web &#60;Shop&#62;"));

    for target in
        ["https://evil.example", "//evil.example", "/\\evil.example", "https:evil.example"]
    {
        let encoded: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let names =
            ["return_to", "next", "continue", "redirect", "redirect_uri", "flow", "post_login"];
        let query = names.map(|name| format!("{name}={encoded}"));
        for path in PAGES {
            assert_stays_on_site(&mut browser, path, &query).await;
        }
    }
    let login_page = browser.get("/login").await;
    let again =
        browser.submit("/login", &login_page, &[("username", probe), ("password", "x")]).await;
    assert!(!html(&again).contains("<script>"));
}

/// Sends each parameter alone. The response must neither redirect to another site nor contain the
/// value.
async fn assert_stays_on_site(browser: &mut Browser<'_>, path: &str, query: &[String]) {
    for parameter in query {
        let answer = browser.get(&format!("{path}?{parameter}")).await;
        let location = answer.headers.get("location").map(|it| it.to_str().unwrap());
        assert!(
            location.is_none_or(|it| it.starts_with(ISSUER) || !it.contains("//")),
            "{path} {parameter}"
        );
        assert!(!html(&answer).contains("evil"), "{path} {parameter}");
        assert!(location.is_none_or(|it| !it.contains("evil")), "{path} {parameter}");
    }
}

/// MUST-054, MUST-069, MUST-070, MUST-072: nothing is granted before consent; a wider scope
/// requires consent again.
#[tokio::test]
async fn nothing_is_granted_before_consent() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let asking = [("client_id", "asking"), ("scope", "openid")];

    let login_page = browser.authorize(&asking).await;
    let consent = browser.log_in(&login_page, ADA).await.location();
    assert!(consent.starts_with(&format!("{ISSUER}/consent?flow=")), "{consent}");
    assert_eq!(server.database.count("authorization_code").await, 0);
    let page = browser.get(&consent).await;
    assert!(html(&page).contains("Asking") && html(&page).contains(ADA));
    assert_cannot_be_framed(&page);
    let denied = browser.submit("/consent", &page, &[("decision", "deny")]).await;
    let sent = denied.sent_to(CALLBACK);
    assert_eq!((sent["error"].as_str(), sent["state"].as_str()), ("access_denied", "af0ifjsldkj"));

    let silent = [&asking[..], &[("prompt", "none")]].concat();
    assert_eq!(browser.authorize(&silent).await.sent_to(CALLBACK)["error"], "consent_required");
    let consent = browser.authorize(&asking).await.location();
    let page = browser.get(&consent).await;
    let allowed = browser.submit("/consent", &page, &[("decision", "allow")]).await;
    assert!(allowed.sent_to(CALLBACK).contains_key("code"));
    // If the form is sent twice, only one code is valid.
    let again = browser.submit("/consent", &page, &[("decision", "allow")]).await;
    assert_ne!(again.sent_to(CALLBACK)["code"], allowed.sent_to(CALLBACK)["code"]);
    assert_eq!(server.database.count("authorization_code").await, 1);

    assert!(browser.authorize(&silent).await.sent_to(CALLBACK).contains_key("code"));
    for wider in ["openid email", "openid offline_access"] {
        let more = [("client_id", "asking"), ("scope", wider), ("prompt", "none")];
        assert_eq!(browser.authorize(&more).await.sent_to(CALLBACK)["error"], "consent_required");
    }
    let again = [&asking[..], &[("prompt", "consent")]].concat();
    assert!(browser.authorize(&again).await.location().contains("/consent?flow="));
    for (event, times) in [("consent_granted", 2), ("consent_denied", 1)] {
        let recorded = format!("auth_event WHERE type = '{event}'");
        assert_eq!(server.database.count(&recorded).await, times, "{event}");
    }
}

/// MUST-071: any program can use the client id of a public native client, so consent is always
/// required.
#[tokio::test]
async fn public_native_client_always_requires_consent() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let native = [
        ("client_id", "native"),
        ("scope", "openid"),
        ("redirect_uri", "http://127.0.0.1:5005/cb"),
    ];
    let login_page = browser.authorize(&native).await;
    let consent = browser.log_in(&login_page, ADA).await.location();
    let page = browser.get(&consent).await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' http://127.0.0.1:5005;"), "{policy}");
    let allowed = browser.submit("/consent", &page, &[("decision", "allow")]).await;
    let code = allowed.sent_to("http://127.0.0.1:5005/cb")["code"].clone();

    assert!(browser.authorize(&native).await.location().contains("/consent?flow="));
    let silent = [&native[..], &[("prompt", "none")]].concat();
    let sent = browser.authorize(&silent).await.sent_to("http://127.0.0.1:5005/cb");
    assert_eq!(sent["error"], "consent_required");
    // A public client sends its id; the verifier proves that it started the flow.
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "native"),
        ("code", code.as_str()),
        ("redirect_uri", "http://127.0.0.1:5005/cb"),
        ("code_verifier", crate::harness::oauth::VERIFIER),
    ];
    let answer = crate::harness::Answer::of(server.form("/oauth2/token", &fields)).await;
    answer.expect_status(200);
}

/// MUST-060, MUST-062..065, MUST-123, CO-11: cases with and without required reauthentication.
#[tokio::test]
async fn reauthentication_is_required_when_the_client_requests_it() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let ada = server.log_in(ADA, PASSWORD).await.tokens().user_id;
    let auth_time = async |code: &str| {
        let answer = server.redeem(&web, code).await;
        let claims = TestServer::claims(&answer.text("id_token"));
        // MUST-123: the subject is the same in all logins.
        assert_eq!(claims["sub"], ada.to_string());
        claims["auth_time"].as_u64().unwrap()
    };
    let first = browser.log_in_for_code(ADA, &[("max_age", "15000")]).await;
    let first = auth_time(&first).await;
    server.clock.advance(Duration::from_secs(30));

    let silent = browser.authorize(&[("prompt", "none"), ("max_age", "10000")]).await;
    assert_eq!(auth_time(&silent.sent_to(CALLBACK)["code"]).await, first);
    for parameters in [
        &[("max_age", "1")][..],
        &[("max_age", "0")],
        &[("prompt", "login")],
        &[("prompt", "select_account")],
    ] {
        browser.authorize(parameters).await.expect_login_page();
    }
    for parameters in ["0", "1"] {
        let answer = browser.authorize(&[("max_age", parameters), ("prompt", "none")]).await;
        assert_eq!(answer.sent_to(CALLBACK)["error"], "login_required");
    }
    let login_page = browser.authorize(&[("prompt", "login")]).await;
    let redirect = browser.log_in(&login_page, ADA).await;
    let again = auth_time(&redirect.sent_to(CALLBACK)["code"]).await;
    assert_eq!(again, first + 30);
    let login_page = browser.authorize(&[("max_age", "0")]).await;
    login_page.expect_login_page();
}

/// MUST-066..068: an expired ID token is accepted as a hint; no other user is logged in
/// silently.
#[tokio::test]
async fn id_token_hint_selects_the_user() {
    let (server, web) = server().await;
    let (mut ada, mut bob) = (Browser::of(&server), Browser::of(&server));
    let code = ada.log_in_for_code(ADA, &[]).await;
    let hint = server.redeem(&web, &code).await.text("id_token");
    bob.log_in_for_code(BOB, &[]).await;
    server.clock.advance(Duration::from_hours(2));

    let silent = [("prompt", "none"), ("id_token_hint", hint.as_str())];
    assert!(ada.authorize(&silent).await.sent_to(CALLBACK).contains_key("code"));
    assert_eq!(bob.authorize(&silent).await.sent_to(CALLBACK)["error"], "login_required");
    bob.authorize(&silent[1..]).await.expect_login_page();

    let forge = crate::harness::forge::Forge::open(&server.database).await;
    let claims = TestServer::claims(&hint);
    let kid = &forge.private_jwk["kid"];
    let encoded = |value: &serde_json::Value| crate::harness::forge::encode(value.to_string());
    let secret = web.secret.clone().unwrap();
    for forged in [
        format!("{}.{}.", encoded(&json!({ "alg": "none", "typ": "JWT" })), encoded(&claims)),
        crate::harness::forge::sign_hmac(
            secret.as_bytes(),
            &json!({ "alg": "HS256", "typ": "JWT" }),
            &claims,
        ),
        forge.sign(&json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }), &claims),
        format!("{hint}x"),
    ] {
        let silent = [("prompt", "none"), ("id_token_hint", forged.as_str())];
        assert_eq!(ada.authorize(&silent).await.sent_to(CALLBACK)["error"], "invalid_request");
    }
}

/// Sign-up on the page continues the pending request, under the rules of the JSON API.
#[tokio::test]
async fn sign_up_page_continues_the_pending_request() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let login = browser.authorize(&[]).await;
    let page = browser.open("/signup", &login).await;
    let credentials = |email, password| [("username", email), ("password", password)];

    let weak = browser.submit("/signup", &page, &credentials("new@example.test", "short")).await;
    weak.expect_status(400);
    assert!(html(&weak).contains("password-problem") && !html(&weak).contains("value=\"short\""));
    browser.submit("/signup", &page, &credentials("nobody", PASSWORD)).await.expect_status(400);
    browser.submit("/signup", &page, &credentials(ADA, PASSWORD)).await.expect_status(409);
    let redirect =
        browser.submit("/signup", &page, &credentials("new@example.test", PASSWORD)).await;

    assert!(redirect.sent_to(CALLBACK).contains_key("code"));
    server.log_in("new@example.test", PASSWORD).await.expect_status(200);
}

/// SS-12: a password reset ends browser logins and client sessions.
#[tokio::test]
async fn password_reset_ends_browser_logins() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[("scope", "openid offline_access")]).await;
    let tokens = server.redeem(&web, &code).await;
    let reset =
        json!({ "token": server.reset_token(ADA).await, "new_password": "Difference-Engine-1822" });

    server.post("/api/auth/password/reset", &reset).await.expect_status(204);

    assert_eq!(
        browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK)["error"],
        "login_required"
    );
    server.userinfo(&tokens.text("access_token")).await.expect_oauth_error(401, "invalid_token");
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    server.token(&web, &fields).await.expect_oauth_error(400, "invalid_grant");
}

/// The account page lists and ends only the user's own sessions.
#[tokio::test]
async fn account_page_ends_only_own_sessions() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/login").await;
    browser.submit("/login", &page, &[("username", ADA), ("password", PASSWORD)]).await;
    let ada = server.log_in(ADA, PASSWORD).await.tokens();
    let bob = server.log_in(BOB, PASSWORD).await.tokens();
    let sid = |token: &str| TestServer::claims(token)["sid"].as_str().unwrap().to_owned();
    let page = browser.get("/account").await;
    assert!(html(&page).contains(ADA) && html(&page).contains(&sid(&ada.access_token)));
    let csrf = hidden_fields(&page)[0].1.clone();

    for id in [sid(&ada.access_token), sid(&bob.access_token)] {
        browser.post("/account", &[("csrf", &csrf), ("end", &id)]).await.expect_status(303);
    }

    server.me(&ada.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.me(&bob.access_token).await.expect_status(200);
}

/// MUST-054: with `form_post`, a form contains the response, and our script submits it.
#[tokio::test]
async fn form_post_response_mode_works() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);

    let answer = browser
        .authorize(&[("prompt", "none"), ("response_mode", "form_post"), ("state", "\"'<&")])
        .await;

    answer.expect_status(200);
    assert_cannot_be_framed(&answer);
    let fields = hidden_fields(&answer);
    let field = |name: &str| &fields.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(
        (field("error"), field("state"), field("iss")),
        (&"login_required".to_owned(), &"\"'<&".to_owned(), &ISSUER.to_owned())
    );
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' https://rp.example;")
            && policy.contains("script-src 'self';")
    );
    assert!(html(&answer).contains("action=\"https://rp.example/cb\""));
    for prefix in ["", "/oauth2"] {
        browser.get(&format!("{prefix}/assets/submit.js")).await.expect_status(200);
        browser.get(&format!("{prefix}/assets/style.css")).await.expect_status(200);
    }
}

/// C16, Initiating User Registration 1.0: `prompt=create` opens the sign-up form, even for a
/// logged-in user; the form links to the login.
#[tokio::test]
async fn prompt_create_opens_the_sign_up_form() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;
    let create = [("prompt", "create"), ("login_hint", "new@example.test")];

    let page = browser.authorize(&create).await;
    let shown = html(&page);
    assert!(shown.contains("<h1>Sign up</h1>") && shown.contains("new@example.test"), "{shown}");
    let fields = [("username", "new@example.test"), ("password", PASSWORD)];
    let answer = browser.submit("/signup", &page, &fields).await;
    assert!(answer.sent_to(CALLBACK).contains_key("code"), "{answer:?}");
    assert_eq!(server.database.count("account WHERE email = 'new@example.test'").await, 1);

    let page = browser.authorize(&create).await;
    let page = browser.open("/login", &page).await;
    let fields = [("username", BOB), ("password", PASSWORD)];
    let answer = browser.submit("/login", &page, &fields).await;
    assert!(answer.sent_to(CALLBACK).contains_key("code"), "{answer:?}");
    for combined in ["none create", "create login", "create consent", "select_account create"] {
        let refused = browser.authorize(&[("prompt", combined)]).await;
        assert_eq!(refused.sent_to(CALLBACK)["error"], "invalid_request", "{combined}");
    }
}

/// C16, SU-01: `prompt=create` is not supported if sign-up is closed. It is supported if sign-up
/// needs an invite; the page then leads to the login.
#[tokio::test]
async fn prompt_create_is_not_supported_if_sign_up_is_closed() {
    let (open, _) = server().await;
    let instance = async |mode: SignUpMode| {
        let mut config = open.config.clone();
        config.signup.signup = mode;
        open.another_instance_with(config).await
    };
    let create = [("prompt", "create")];
    let supported = async |server: &TestServer| {
        let metadata = server.get("/.well-known/openid-configuration").await.json();
        let values = metadata["prompt_values_supported"].as_array().unwrap().clone();
        values.contains(&"create".into())
    };

    let closed = instance(SignUpMode::Closed).await;
    let refused = Browser::of(&closed).authorize(&create).await.sent_to(CALLBACK);
    assert_eq!(refused["error"], "invalid_request");
    assert!(refused["error_description"].contains("prompt create is not supported"), "{refused:?}");
    assert!(!supported(&closed).await);

    let by_invite = instance(SignUpMode::Invite).await;
    let mut browser = Browser::of(&by_invite);
    let page = browser.authorize(&create).await;
    page.expect_status(403);
    assert!(page.html().contains("only with an invitation"), "{}", page.html());
    let page = browser.open("/login", &page).await;
    let fields = [("username", BOB), ("password", PASSWORD)];
    let answer = browser.submit("/login", &page, &fields).await;
    assert!(answer.sent_to(CALLBACK).contains_key("code"), "{answer:?}");
    assert!(supported(&by_invite).await && supported(&open).await);
}

/// B2: the form accepts the same addresses as the API. So its field does not have `type="email"`,
/// with which the browser would apply its own grammar.
#[tokio::test]
async fn address_fields_do_not_use_browser_email_validation() {
    let (server, _) = server().await;
    let email = "jürgen@example.test";
    server.sign_up(email).await.expect_status(201);
    let mut browser = Browser::of(&server);

    let page = browser.authorize(&[]).await;
    let sign_up = browser.open("/signup", &page).await;

    for shown in [html(&page), html(&sign_up)] {
        assert!(!shown.contains(r#"type="email""#), "{shown}");
        assert!(shown.contains(r#"inputmode="email""#), "{shown}");
    }
    assert!(browser.log_in(&page, email).await.sent_to(CALLBACK).contains_key("code"));
}
