//! CSRF: forms that do not come from our pages have no effect. Our own form still works afterwards.

use crate::harness::oauth::{Browser, CALLBACK, WEB_CLIENT, csrf, hidden_fields};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";

/// A client that requires consent.
const CONSENT_CLIENT: &str = r#"
[[client]]
client_id = "asking"
redirect_uris = ["https://rp.example/cb"]
"#;

/// Sends the form in all ways that must be rejected: without a CSRF token, with an invalid token,
/// with the token of another browser, and from another site.
async fn assert_refused(
    browser: &mut Browser<'_>,
    path: &str,
    page: &Answer,
    foreign: &str,
    fields: &[(&str, &str)],
) {
    let is_known = |name: &str| name == "csrf" || fields.iter().any(|(known, _)| *known == name);
    let others: Vec<_> =
        hidden_fields(page).into_iter().filter(|(name, _)| !is_known(name)).collect();
    let mut without: Vec<_> = others.iter().map(|(name, value)| (&**name, &**value)).collect();
    without.extend(fields);
    browser.post(path, &without).await.expect_status(400);
    for token in ["", "x", foreign] {
        let with = [&without[..], &[("csrf", token)]].concat();
        browser.post(path, &with).await.expect_status(400);
    }
    let own = csrf(page);
    let with = [&without[..], &[("csrf", own.as_str())]].concat();
    for site in ["cross-site", "same-site", "none"] {
        let request = browser.form(path, &with).header("sec-fetch-site", site);
        browser.send(request).await.expect_status(400);
    }
}

/// MUST-055, MUST-207, SS-04: the forms of consent, sign-up, account and logout. `hosted_pages`
/// tests the login form.
#[tokio::test]
async fn cross_site_forms_have_no_effect() {
    let server = TestServer::start().await;
    server.register_clients(&[WEB_CLIENT, CONSENT_CLIENT].concat()).await;
    server.sign_up(ADA).await.expect_status(201);
    let mut other = Browser::of(&server);
    let foreign = csrf(&other.get("/signup").await);
    let count = async |of: &str| server.database.count(of).await;

    let mut browser = Browser::of(&server);
    let page = browser.get("/signup").await;
    let credentials = [("username", "new@example.test"), ("password", PASSWORD)];
    assert_refused(&mut browser, "/signup", &page, &foreign, &credentials).await;
    assert_eq!(count("account").await, 1);

    let login_page = browser.authorize(&[("client_id", "asking"), ("scope", "openid")]).await;
    let consent = browser.log_in(&login_page, ADA).await.location();
    let page = browser.get(&consent).await;
    for decision in ["allow", "deny"] {
        let fields = [("decision", decision)];
        assert_refused(&mut browser, "/consent", &page, &foreign, &fields).await;
    }
    assert_eq!((count("consent").await, count("authorization_code").await), (0, 0));
    assert_eq!(count("auth_event WHERE type LIKE 'consent_%'").await, 0);

    let api = server.log_in(ADA, PASSWORD).await.tokens();
    let account = browser.get("/account").await;
    for end in ["all", &TestServer::session_id(&api.access_token)] {
        assert_refused(&mut browser, "/account", &account, &foreign, &[("end", end)]).await;
    }
    let logout = browser.get("/logout").await;
    assert_refused(&mut browser, "/logout", &logout, &foreign, &[]).await;
    server.me(&api.access_token).await.expect_status(200);
    assert_eq!(count("session WHERE ended_at IS NOT NULL").await, 0);

    // Our own forms succeed, so the forms above failed only for the tested reasons.
    let allowed = browser.submit("/consent", &page, &[("decision", "allow")]).await;
    assert!(allowed.sent_to(CALLBACK).contains_key("code"));
    let all = [("csrf", &*csrf(&account)), ("end", "all")];
    browser.post("/account", &all).await.expect_status(303);
    server.me(&api.access_token).await.expect_error(401, "UNAUTHORIZED");
}

/// SS-02, SS-04: a login changes the CSRF token.
#[tokio::test]
async fn login_changes_the_csrf_token() {
    let server = TestServer::start().await;
    server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    let login_page = browser.authorize(&[]).await;
    let before = csrf(&login_page);
    browser.log_in(&login_page, ADA).await.expect_status(303);

    let account = browser.get("/account").await;

    assert_ne!(csrf(&account), before);
    browser.post("/account", &[("csrf", &before), ("end", "all")]).await.expect_status(400);
    browser.get("/account").await.expect_status(200);
}
