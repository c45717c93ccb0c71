//! Self-service pages: password change and account deletion.

use futures_util::future::join;
use reqwest::Method;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, WEB_CLIENT, csrf};
use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const ADA: &str = "ada@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";
const WRONG: &str = "This is not your password.";

/// A client that requires consent.
const CONSENT_CLIENT: &str = r#"
[[client]]
client_id = "asking"
client_name = "Asking"
redirect_uris = ["https://rp.example/cb"]
scope = "openid email"
"#;

/// Ada's account, and a browser in which she is logged in.
async fn logged_in(server: &TestServer) -> Browser<'_> {
    server.sign_up(ADA).await.expect_status(201);
    log_in(server, PASSWORD).await
}

async fn log_in<'s>(server: &'s TestServer, password: &str) -> Browser<'s> {
    let mut browser = Browser::of(server);
    let page = browser.get("/login").await;
    let done = browser.submit("/login", &page, &[("username", ADA), ("password", password)]).await;
    assert_eq!(done.location(), format!("{ISSUER}/account"));
    browser
}

async fn change(browser: &mut Browser<'_>, current: &str, new: &str) -> Answer {
    let page = browser.get("/change-password").await;
    page.expect_status(200);
    let typed = [("current_password", current), ("new_password", new)];
    browser.submit("/change-password", &page, &typed).await
}

async fn delete(browser: &mut Browser<'_>, password: &str) -> Answer {
    let page = browser.get("/delete-account").await;
    page.expect_status(200);
    browser.submit("/delete-account", &page, &[("password", password)]).await
}

async fn is_logged_in(browser: &mut Browser<'_>) -> bool {
    browser.get("/account").await.status == 200
}

/// The text of the error message with this id.
fn problem(page: &Answer, id: &str) -> Option<String> {
    let html = page.html();
    let (_, rest) = html.split_once(&format!("<p id=\"{id}\" class=\"problem\">"))?;
    Some(rest.split('<').next().unwrap().to_owned())
}

/// PW-07: like the API, the page ends all sessions except the current login.
#[tokio::test]
async fn password_change_ends_all_other_logins() {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    let mut browser = logged_in(&server).await;
    let mut other = log_in(&server, PASSWORD).await;
    let code = browser.authorize(&[("scope", "openid offline_access")]).await.sent_to(CALLBACK);
    let tokens = server.redeem(&web, &code["code"]).await;
    let own = server.log_in(ADA, PASSWORD).await.tokens();

    let done = change(&mut browser, PASSWORD, NEW_PASSWORD).await;

    done.expect_status(303);
    assert_eq!(done.location(), format!("{ISSUER}/account?done=password"));
    let page = browser.get(&done.location()).await;
    assert!(page.html().contains("Your password is changed."), "{}", page.html());
    assert!(!is_logged_in(&mut other).await);
    server.me(&own.access_token).await.expect_error(401, "UNAUTHORIZED");
    let refresh = tokens.text("refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
    server.token(&web, &fields).await.expect_oauth_error(400, "invalid_grant");
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    log_in(&server, NEW_PASSWORD).await;
}

/// SS-01: the previous cookie becomes invalid, but the browser's pending requests continue.
#[tokio::test]
async fn password_change_replaces_the_browser_cookie() {
    let server = TestServer::start().await;
    server.register_clients(CONSENT_CLIENT).await;
    let mut browser = logged_in(&server).await;
    let consent_url =
        browser.authorize(&[("client_id", "asking"), ("scope", "openid")]).await.location();
    let before = browser.cookie.clone().unwrap();

    change(&mut browser, PASSWORD, NEW_PASSWORD).await.expect_status(303);

    assert_ne!(browser.cookie.as_ref(), Some(&before));
    let mut thief = Browser::of(&server);
    thief.cookie = Some(before);
    assert!(!is_logged_in(&mut thief).await);
    let consent = browser.get(&consent_url).await;
    let answer = browser.submit("/consent", &consent, &[("decision", "allow")]).await;
    assert!(answer.sent_to(CALLBACK).contains_key("code"));
}

/// AT-10, AZ-06: codes issued to the browser before the change become invalid.
#[tokio::test]
async fn password_change_invalidates_codes_in_flight() {
    let server = TestServer::start().await;
    let web = server.register_web_client().await;
    let mut browser = logged_in(&server).await;
    let code = browser.authorize(&[]).await.sent_to(CALLBACK)["code"].clone();

    change(&mut browser, PASSWORD, NEW_PASSWORD).await.expect_status(303);

    server.redeem(&web, &code).await.expect_oauth_error(400, "invalid_grant");
    let own = browser.authorize(&[]).await.sent_to(CALLBACK)["code"].clone();
    server.redeem(&web, &own).await.expect_status(200);
}

/// AT-10: an attacker's request with the old cookie waits for the change, and then fails. This does
/// not apply to SQLite, which runs one transaction at a time.
#[tokio::test]
async fn request_waiting_for_a_password_change_fails() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return;
    }
    server.register_web_client().await;
    let mut browser = logged_in(&server).await;
    let mut thief = Browser::of(&server);
    thief.cookie.clone_from(&browser.cookie);
    let page = browser.get("/change-password").await;
    let row_lock = server.database.connect().await.begin().await.unwrap();
    row_lock.execute_unprepared("SELECT 1 FROM account FOR UPDATE").await.unwrap();

    let typed = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD)];
    let theft = async {
        server.database.wait_for_connections(1, "wait_event_type = 'Lock'").await;
        let open = async {
            server.database.wait_for_connections(2, "wait_event_type = 'Lock'").await;
            row_lock.commit().await.unwrap();
        };
        join(thief.authorize(&[("prompt", "none")]), open).await.0
    };
    let changed = browser.submit("/change-password", &page, &typed);
    let (changed, theft) = join(changed, theft).await;

    changed.expect_status(303);
    assert_eq!(theft.sent_to(CALLBACK)["error"], "login_required");
}

/// A link cannot make the page report a change as done.
#[tokio::test]
async fn link_cannot_show_a_success_message() {
    let server = TestServer::start().await;
    let mut browser = logged_in(&server).await;
    for site in ["cross-site", "same-site", "none", "same-origin"] {
        let from = |path: &str| {
            let request = server.request(Method::GET, path).header("sec-fetch-site", site);
            request.header("cookie", browser.cookie.clone().unwrap())
        };
        let says = Answer::of(from("/account?done=password")).await.html().contains("is changed");
        assert_eq!(says, site == "same-origin", "{site}");
    }
    browser.cookie = None;
    let link = browser.request(Method::GET, "/delete-account?done=deletion");
    let answer = browser.send(link.header("sec-fetch-site", "cross-site")).await;
    assert_eq!(answer.location(), format!("{ISSUER}/login?then=delete-account"));
}

/// Each error is displayed next to its field, and the password is not changed.
#[tokio::test]
async fn rejected_password_change_shows_the_error_at_its_field() {
    let server = TestServer::start().await;
    let mut browser = logged_in(&server).await;
    let cookie = browser.cookie.clone();
    let own = server.log_in(ADA, PASSWORD).await.tokens();

    let wrong = change(&mut browser, "Wrong-Password-1", NEW_PASSWORD).await;
    let weak = change(&mut browser, PASSWORD, "short").await;
    let both = change(&mut browser, &"x".repeat(1_025), "ada@example.test").await;

    for refused in [&wrong, &weak, &both] {
        refused.expect_status(400);
        assert!(refused.html().contains("<title>Error: Change your password"));
        assert!(!refused.html().contains("Wrong-Password-1"), "nothing typed is sent back");
    }
    let problems = |page| (problem(page, "current-problem"), problem(page, "new-problem"));
    assert_eq!(problems(&wrong), (Some(WRONG.to_owned()), None));
    assert_eq!(problems(&weak).0, None);
    assert!(problems(&weak).1.unwrap().starts_with("The password needs at least"), "{weak:?}");
    assert_eq!(problems(&both).0.as_deref(), Some(WRONG));
    assert!(problems(&both).1.is_some());
    assert_eq!(browser.cookie, cookie);
    server.me(&own.access_token).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    let recorded = "auth_event WHERE reason = 'wrong_password_for_password_change'";
    assert_eq!(server.database.count(recorded).await, 1);
}

/// RL-02: a password check on these pages counts like a login attempt.
#[tokio::test]
async fn password_checks_on_the_account_page_are_limited() {
    let server = TestServer::start().await;
    let mut browser = logged_in(&server).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(change(&mut browser, "Wrong-Password-1", NEW_PASSWORD).await.status);
        statuses.push(delete(&mut browser, "Wrong-Password-1").await.status);
    }

    // With the login, that makes ten counted attempts.
    assert_eq!(statuses, [&[400; 9][..], &[429; 3]].concat());
    assert!(delete(&mut browser, PASSWORD).await.header("retry-after").parse::<u32>().unwrap() > 0);
    assert!(is_logged_in(&mut browser).await);
}

/// The account is deleted with all its sessions, and a page confirms it.
#[tokio::test]
async fn account_page_deletes_the_account() {
    let server = TestServer::start().await;
    let mut browser = logged_in(&server).await;
    let mut other = log_in(&server, PASSWORD).await;
    let own = server.log_in(ADA, PASSWORD).await.tokens();

    for wrong in ["", "Wrong-Password-1"] {
        let refused = delete(&mut browser, wrong).await;
        refused.expect_status(400);
        assert_eq!(problem(&refused, "problem").as_deref(), Some(WRONG));
    }
    assert_eq!(server.database.count("account").await, 1);
    let done = delete(&mut browser, PASSWORD).await;

    done.expect_status(303);
    assert!(!is_logged_in(&mut browser).await, "its cookie is invalid");
    let page = browser.get(&done.location()).await;
    assert!(page.html().contains("The account is deleted"), "{}", page.html());
    eventually("all rows are deleted", async || server.database.count("account").await == 0).await;
    assert!(!is_logged_in(&mut other).await);
    server.me(&own.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.sign_up(ADA).await.expect_status(201);
}

/// SS-04: a form needs the CSRF token of its own browser, and a login.
#[tokio::test]
async fn cross_site_forms_have_no_effect() {
    let server = TestServer::start().await;
    let mut browser = logged_in(&server).await;
    let mut anonymous = Browser::of(&server);
    let foreign_token = csrf(&anonymous.get("/login").await);
    let forms = [
        ("/change-password", vec![("current_password", PASSWORD), ("new_password", NEW_PASSWORD)]),
        ("/delete-account", vec![("password", PASSWORD)]),
        ("/download-data", vec![("password", PASSWORD)]),
        ("/edit-profile", vec![("name", "Mallory")]),
    ];

    for (path, typed) in forms {
        for token in ["", "x", &foreign_token] {
            let fields = [&typed[..], &[("csrf", token)]].concat();
            browser.post(path, &fields).await.expect_status(400);
        }
        let fields = [&typed[..], &[("csrf", foreign_token.as_str())]].concat();
        let login = format!("{ISSUER}/login?then={}", path.trim_start_matches('/'));
        assert_eq!(anonymous.post(path, &fields).await.location(), login);
        assert_eq!(anonymous.get(path).await.location(), login);
    }
    let tokens = server.log_in(ADA, PASSWORD).await.tokens();
    let account = server.me(&tokens.access_token).await.expect_status(200).json();
    assert_eq!(account.get("name"), None);
}

/// AT-10: a login that was ended in another browser cannot change the account, although its pages
/// are still open.
#[tokio::test]
async fn ended_login_cannot_change_the_account() {
    let server = TestServer::start().await;
    let mut browser = logged_in(&server).await;
    let password = browser.get("/change-password").await;
    let deletion = browser.get("/delete-account").await;
    let mut other = log_in(&server, PASSWORD).await;
    let account = other.get("/account").await;
    let all = [("csrf", csrf(&account)), ("end", "all".to_owned())];
    let all = all.each_ref().map(|(name, value)| (*name, value.as_str()));
    other.post("/account", &all).await.expect_status(303);

    let typed = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD)];
    let changed = browser.submit("/change-password", &password, &typed).await;
    let deleted = browser.submit("/delete-account", &deletion, &[("password", PASSWORD)]).await;

    for (answer, page) in [(changed, "change-password"), (deleted, "delete-account")] {
        assert_eq!(answer.location(), format!("{ISSUER}/login?then={page}"));
    }
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// "A Well-Known URL for Changing Passwords" (W3C).
#[tokio::test]
async fn well_known_change_password_url_redirects_to_the_page() {
    let server = TestServer::start().await;

    let answer = Browser::of(&server).get("/.well-known/change-password").await;

    answer.expect_status(303);
    assert_eq!(answer.location(), format!("{ISSUER}/change-password"));
}

/// The token request comes from the client's server, but the session has the client address of the
/// user's browser.
#[tokio::test]
async fn client_session_has_the_client_address_of_the_browser() {
    let server = TestServer::start().await;
    let web = server.register_clients(WEB_CLIENT).await.remove(0);
    let mut browser = logged_in(&server).await;
    let code = browser.authorize(&[("scope", "openid offline_access")]).await;
    let code = code.sent_to(CALLBACK)["code"].clone();

    let tokens = server.redeem(&web, &code).await;
    let token = tokens.text("refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &token)];
    server.token(&web, &fields).await.expect_status(200);

    let addresses = async |filter: &str| -> Vec<String> {
        server.database.column(&format!("SELECT address FROM session WHERE {filter}")).await
    };
    assert_eq!(addresses("client_id = 'web'").await, addresses("cookie_digest IS NOT NULL").await);
}

/// A change counts as an attempt if the current password is wrong, but not if only the new password
/// is refused.
#[tokio::test]
async fn rejected_new_password_does_not_count_as_an_attempt() {
    let server = TestServer::start().await;
    let mut browser = logged_in(&server).await;
    for _ in 0..12 {
        let page = browser.get("/change-password").await;
        let typed = [("current_password", PASSWORD), ("new_password", "short")];
        let again = browser.submit("/change-password", &page, &typed).await;
        let html = again.expect_status(400).html();
        assert!(html.contains("at least 8 characters") && !html.contains("not your password"));
    }
    server.log_in(ADA, PASSWORD).await.expect_status(200);

    let mut statuses = Vec::new();
    for _ in 0..12 {
        let page = browser.get("/change-password").await;
        let typed = [("current_password", "Wrong-horse-7"), ("new_password", "short")];
        statuses.push(browser.submit("/change-password", &page, &typed).await.status);
    }
    // Ten attempts in total, including the two logins.
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 8, "{statuses:?}");
}
