//! A browser login ends after the idle timeout, and at its absolute expiry regardless of use.

use futures_util::future::join_all;

use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB_CLIENT};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// A server with an idle timeout of one hour and a session lifetime of four hours, and a client
/// whose access tokens outlive the idle timeout.
async fn server() -> (TestServer, Rp) {
    let server = TestServer::with(|config| {
        config.tokens.browser_idle_seconds = HOUR;
        config.tokens.session_seconds = 4 * HOUR;
    })
    .await;
    let web = server
        .register_clients(&format!("{WEB_CLIENT}access_token_seconds = 10800\n"))
        .await
        .remove(0);
    for email in [ADA, BOB] {
        server.sign_up(email).await.expect_status(201);
    }
    (server, web)
}

/// Whether a request with `prompt=none` succeeds in the browser.
async fn is_logged_in(browser: &mut Browser<'_>) -> bool {
    let sent = browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK);
    assert!(sent.get("error").is_none_or(|error| error == "login_required"), "{sent:?}");
    sent.contains_key("code")
}

/// The idle expiry of the browser login, in seconds since its start.
async fn idle_expiry(server: &TestServer) -> i64 {
    let expiries =
        "SELECT idle_expires_at - auth_time FROM session WHERE cookie_digest IS NOT NULL";
    let expiries: Vec<i64> = server.database.column(expiries).await;
    assert_eq!(expiries.len(), 1);
    expiries[0] / 1_000_000
}

/// SS-09: the server enforces the timeout, even if the browser still has the cookie.
#[tokio::test]
async fn browser_login_ends_after_the_idle_timeout() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;
    server.advance_seconds(HOUR - 1);
    assert!(is_logged_in(&mut browser).await);
    let cookie = browser.cookie.clone();

    server.advance_seconds(HOUR);

    assert!(!is_logged_in(&mut browser).await);
    assert!(browser.get("/account").await.location().ends_with("/login"));
    assert_eq!(browser.cookie, cookie);
    // Further use does not restore the login.
    assert!(!is_logged_in(&mut browser).await);
}

/// SS-09: the timeout starts at the login, not at the first use.
#[tokio::test]
async fn idle_timeout_starts_at_the_login() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/login").await;
    let credentials = [("username", ADA), ("password", PASSWORD)];
    browser.submit("/login", &page, &credentials).await.expect_status(303);
    assert_eq!(idle_expiry(&server).await, 3600);

    server.advance_seconds(HOUR);

    assert!(browser.get("/account").await.location().ends_with("/login"));
}

/// SS-09: use does not extend a login beyond its absolute expiry.
#[tokio::test]
async fn browser_login_in_use_ends_at_its_absolute_expiry() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;

    for _ in 0..5 {
        server.advance_seconds(45 * MINUTE);
        browser.get("/account").await.expect_status(200);
    }
    assert_eq!(idle_expiry(&server).await, i64::try_from(4 * HOUR).unwrap());
    server.advance_seconds(15 * MINUTE - 1);
    assert!(is_logged_in(&mut browser).await);
    server.advance_seconds(1);

    assert!(!is_logged_in(&mut browser).await);
    let beyond =
        "session WHERE cookie_digest IS NOT NULL AND idle_expires_at > absolute_expires_at";
    assert_eq!(server.database.count(beyond).await, 0);
}

/// Loading a page writes to the database at most every five minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn idle_expiry_is_updated_at_most_every_five_minutes() {
    let (server, _) = server().await;
    let second_instance = server.another_instance().await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;
    assert_eq!(idle_expiry(&server).await, 3600);

    for (minutes, end) in [(2, 3600), (3, 3600), (1, 3600 + 360), (5, 3600 + 360), (1, 3600 + 720)]
    {
        server.advance_seconds(minutes * MINUTE);
        let cookie = browser.cookie.clone().unwrap();
        let visits = [&server, &second_instance].into_iter().cycle().take(16).map(|server| {
            let request = server.request(reqwest::Method::GET, "/account");
            Answer::of(request.header("cookie", &cookie))
        });
        assert!(join_all(visits).await.iter().all(|answer| answer.status == 200));
        assert_eq!(idle_expiry(&server).await, end, "{minutes}");
    }
}

/// AP-01: the page and the API show when and where a login was last used. A use is recorded at most
/// every five minutes, also when the idle timeout has reached the end of the session.
#[tokio::test]
async fn last_use_of_a_browser_login_is_recorded() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;
    let began = server.clock.now();
    let cookie = browser.cookie.clone().unwrap();
    let visit = async |address: &str, user_agent: &str| {
        let request = server.request(reqwest::Method::GET, "/account").header("cookie", &cookie);
        let request = request.header("x-forwarded-for", address).header("user-agent", user_agent);
        Answer::of(request).await.expect_status(200);
    };
    let last_use = async || {
        let tokens = server.log_in(ADA, PASSWORD).await.tokens();
        let sessions = server.sessions(&tokens.access_token).await.json();
        let sessions = sessions["sessions"].as_array().unwrap().clone();
        let began = began.to_rfc3339();
        let session = sessions.into_iter().find(|it| it["authenticated_at"] == began).unwrap();
        ["last_used_at", "address", "user_agent"].map(|it| session[it].as_str().map(str::to_owned))
    };

    server.advance_seconds(6 * MINUTE);
    visit("198.51.100.7", "Engine/1.0").await;
    let used = server.clock.now();
    server.advance_seconds(5 * MINUTE);
    visit("203.0.113.9", "Engine/2.0").await;

    let expected = [used.to_rfc3339(), "198.51.100.7".to_owned(), "Engine/1.0".to_owned()];
    assert_eq!(last_use().await, expected.map(Some));
    for _ in 0..4 {
        server.advance_seconds(52 * MINUTE);
        visit("203.0.113.9", "Engine/2.0").await;
    }
    assert_eq!(idle_expiry(&server).await, i64::try_from(4 * HOUR).unwrap());
    server.advance_seconds(10 * MINUTE);
    visit("198.51.100.8", "Engine/3.0").await;
    let used = server.clock.now();
    let expected = [used.to_rfc3339(), "198.51.100.8".to_owned(), "Engine/3.0".to_owned()];
    assert_eq!(last_use().await, expected.map(Some));
}

/// An existing login gets a shorter timeout at its next use.
#[tokio::test]
async fn shorter_idle_timeout_applies_from_the_next_use() {
    let (server, _) = server().await;
    let mut config = server.config.clone();
    config.tokens.browser_idle_seconds = 10 * MINUTE;
    let strict = server.another_instance_with(config).await;
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;
    let mut same_browser = Browser::of(&strict);
    same_browser.cookie.clone_from(&browser.cookie);

    same_browser.get("/account").await.expect_status(200);
    server.advance_seconds(10 * MINUTE);

    assert!(!is_logged_in(&mut same_browser).await);
    assert!(!is_logged_in(&mut browser).await);
}

/// An idle timeout is not a logout: the user may still work with the client.
#[tokio::test]
async fn client_sessions_outlive_an_idle_login_and_end_at_logout() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    let tokens = server.redeem(&web, &code).await;
    let (access, hint) = (tokens.text("access_token"), tokens.text("id_token"));
    server.advance_seconds(2 * HOUR);
    assert!(!is_logged_in(&mut browser).await);
    server.userinfo(&access).await.expect_status(200);

    // A logout needs an ID token of this browser, or a confirmation.
    let plain = browser.get("/oauth2/logout").await;
    assert_eq!(plain.location(), format!("{ISSUER}/logout"));
    let mut other = Browser::of(&server);
    other.get("/login").await;
    other.get(&format!("/oauth2/logout?id_token_hint={hint}")).await.expect_status(303);
    server.userinfo(&access).await.expect_status(200);

    let redirect = browser.get(&format!("/oauth2/logout?id_token_hint={hint}")).await;
    assert_eq!(redirect.location(), format!("{ISSUER}/logout"));
    assert_eq!(browser.cookie, None);
    server.userinfo(&access).await.expect_oauth_error(401, "invalid_token");
}

/// SS-11: the previous login is replaced as if it had not timed out.
#[tokio::test]
async fn next_login_replaces_a_timed_out_login() {
    let (server, web) = server().await;
    for (next, status) in [(ADA, 200), (BOB, 401)] {
        let mut browser = Browser::of(&server);
        let code = browser.log_in_for_code(ADA, &[]).await;
        let tokens = server.redeem(&web, &code).await;
        let (access, hint) = (tokens.text("access_token"), tokens.text("id_token"));
        server.advance_seconds(HOUR);

        let page = browser.get("/login").await;
        let redirect =
            browser.submit("/login", &page, &[("username", next), ("password", PASSWORD)]).await;
        assert!(redirect.location().ends_with("/account"));

        assert_eq!(server.userinfo(&access).await.status, status, "{next}");
        if next == ADA {
            browser.get(&format!("/oauth2/logout?id_token_hint={hint}")).await.expect_status(303);
            server.userinfo(&access).await.expect_oauth_error(401, "invalid_token");
        }
    }
}
