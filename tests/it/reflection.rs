//! Parameters cause no off-site redirect, and are escaped in pages.

use serde_json::json;

use crate::harness::mailed::mail_without_server;
use crate::harness::oauth::{Browser, CALLBACK, ISSUER, PAGES, WEB_CLIENT, csrf};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const PROBE: &str = "\"'><script>alert(1)</script><b x=\"";

/// Known values that exploit open redirects (RU-01 for pages).
const TARGETS: [&str; 20] = [
    "https://evil.example",
    "http://evil.example",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\r\n/evil.example",
    "%2f%2fevil.example",
    "/%5cevil.example",
    "/.evil.example",
    ".evil.example",
    "@evil.example",
    "https://id.example.test@evil.example",
    "javascript:alert('evil')",
    "data:text/html,evil",
];

const PARAMETER_NAMES: [&str; 12] = [
    "return_to",
    "returnTo",
    "next",
    "continue",
    "redirect",
    "redirect_uri",
    "redirect_to",
    "url",
    "target",
    "post_login",
    "post_logout_redirect_uri",
    "state",
];

/// Asserts that the response does not redirect off-site, and that no header contains the target.
#[track_caller]
fn assert_stays_on_site(answer: &Answer, request: &str) {
    if let Some(location) = answer.headers.get("location") {
        let location = location.to_str().unwrap();
        let is_on_site = location.starts_with(&format!("{ISSUER}/")) || !location.contains("//");
        assert!(is_on_site, "{request}: {answer:?}");
    }
    assert!(!format!("{:?}", answer.headers).contains("evil"), "{request}: {answer:?}");
}

/// MUST-057, RU-05
#[tokio::test]
async fn form_fields_cause_no_off_site_redirect() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);

    for target in TARGETS {
        server.advance_seconds(61);
        let mut browser = Browser::of(&server);
        let fields = PARAMETER_NAMES.map(|name| (name, target));
        let typed = [("username", ADA), ("password", PASSWORD)];

        let page = browser.get("/login").await;
        let done = browser.submit("/login", &page, &[&fields[..], &typed].concat()).await;
        assert_eq!(done.location(), format!("{ISSUER}/account"), "{target}");
        let csrf_token = csrf(&browser.get("/account").await);
        let unknown_session = "00000000-0000-7000-8000-000000000000";
        let end = [("csrf", csrf_token.as_str()), ("end", unknown_session)];
        let ended = browser.post("/account", &[&fields[..], &end].concat()).await;
        assert_eq!(ended.location(), format!("{ISSUER}/account?done=end"), "{target}");
        let page = browser.get("/logout").await;
        // Without `id_token_hint`, `post_logout_redirect_uri` is ignored. `state` is left out here,
        // because the control characters in some targets would be rejected.
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| *name != "state").collect();
        let done = browser.submit("/logout", &page, &fields).await;
        assert_eq!(done.location(), format!("{ISSUER}/logout"), "{target}");
    }
}

/// MUST-057, RU-05: links to pages and to the JSON API do not redirect off-site, whether or not the
/// user is logged in.
#[tokio::test]
async fn link_parameters_cause_no_off_site_redirect() {
    let server = TestServer::with(mail_without_server).await;
    server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut logged_in = Browser::of(&server);
    logged_in.log_in_for_code(ADA, &[]).await;
    let mut anonymous = Browser::of(&server);

    for target in TARGETS {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(PARAMETER_NAMES.map(|name| (name, target)))
            .finish();
        for page in PAGES {
            let path = format!("{page}?{query}");
            assert_stays_on_site(&logged_in.get(&path).await, &path);
            assert_stays_on_site(&anonymous.get(&path).await, &path);
        }
        let me = server.request(reqwest::Method::GET, &format!("/api/auth/me?{query}"));
        assert_stays_on_site(&Answer::of(me).await, target);
    }
}

/// MUST-058, IJ-01: parameters with markup are escaped on every page, with and without a pending
/// request.
#[tokio::test]
async fn parameters_are_escaped_on_pages() {
    let server = TestServer::with(mail_without_server).await;
    let web =
        server.register_clients(&WEB_CLIENT.replace("consent = \"skip\"", "")).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    // These values are valid, although they contain markup.
    let claims = json!({ PROBE: PROBE, "userinfo": { PROBE: PROBE, "name": null } }).to_string();
    let parameters = [
        "state",
        "nonce",
        "login_hint",
        "ui_locales",
        "claims_locales",
        "acr_values",
        "display",
        "error",
        "error_description",
    ]
    .map(|name| (name, PROBE));
    let parameters = [&parameters[..], &[("claims", &claims)]].concat();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&parameters)
        .extend_pairs([("flow", PROBE), ("username", PROBE), ("client_id", PROBE)])
        .finish();

    let login = browser.authorize(&parameters).await;
    let signup = browser.open("/signup", &login).await;
    for page in [&login, &signup] {
        page.expect_status(200);
        assert!(page.html().contains("&#60;script&#62;"), "the hint is shown");
    }
    let typed = [("username", PROBE), ("password", PROBE)];
    let mut pages = vec![
        browser.submit("/login", &login, &typed).await,
        browser.submit("/signup", &signup, &typed).await,
        login.clone(),
        signup,
    ];
    let consent = browser.log_in(&login, ADA).await.location();
    pages.push(browser.get(&consent).await);
    let consent = pages.last().unwrap().clone();
    let code = browser.submit("/consent", &consent, &[("decision", "allow")]).await;
    assert_eq!(code.sent_to(CALLBACK)["state"], PROBE);
    let posted = browser.authorize(&[("response_mode", "form_post"), ("state", PROBE)]).await;
    assert!(posted.html().contains("&#60;script&#62;"), "the state is preserved");
    for page in PAGES {
        pages.push(browser.get(&format!("{page}?{query}")).await);
    }
    pages.push(browser.get(&format!("/oauth2/authorize?{query}")).await);

    for page in pages {
        assert!(!String::from_utf8(page.body.clone()).unwrap().contains("<script>"), "{page:?}");
        assert!(!format!("{:?}", page.headers).contains("alert"), "{page:?}");
    }
    let html = posted.html();
    assert_eq!(html.matches("<script").count(), html.matches("<script src=\"").count());
    server.redeem(&web, &code.sent_to(CALLBACK)["code"]).await.expect_status(200);
}
