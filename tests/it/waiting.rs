//! Pending authorization requests (W4). During a login, only the page contains the request, sealed
//! for its browser. During a consent, the database stores it in a row of the account. An account
//! has at most sixteen such rows.

use std::fs;

use futures_util::future::join_all;
use openssl::sha::sha256;
use reqwest::Method;

use crate::harness::consents::{CONSENT_CLIENTS, consent_request};
use crate::harness::forge::encode;
use crate::harness::oauth::{
    Browser, CALLBACK, ISSUER, WEB_CLIENT, authorization_query, csrf, flow,
};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";
const PENDING_TABLE: &str = "pending_authorization";
const UNAUTHENTICATED_REQUESTS: usize = 10_000;

async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.register_clients(&[WEB_CLIENT, CONSENT_CLIENTS].concat()).await;
    for email in [ADA, BOB] {
        server.sign_up(email).await.expect_status(201);
    }
    server
}

/// Asserts that the page asks the user to start again.
#[track_caller]
fn expect_start_again(answer: &Answer) {
    answer.expect_status(400);
    assert!(answer.html().contains("Start again"), "{}", answer.html());
}

/// Submits a login form with this pending request and the correct password.
async fn submit_login(browser: &mut Browser<'_>, csrf: &str, flow: &str) -> Answer {
    let fields = [("csrf", csrf), ("flow", flow), ("username", ADA), ("password", PASSWORD)];
    browser.post("/login", &fields).await
}

/// The size of the database in bytes.
async fn database_size(server: &TestServer) -> i64 {
    if server.database.is_postgres() {
        let size = "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_stat_user_tables";
        return server.database.column(size).await[0];
    }
    let pages: i64 = server.database.column("PRAGMA page_count").await[0];
    let log = fs::metadata(server.database.directory().join("signet.db-wal"));
    pages * 4096 + log.map_or(0, |log| i64::try_from(log.len()).unwrap())
}

/// W4: the size and the number of the requests make no difference.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unauthenticated_requests_store_nothing() {
    let server = server().await;
    let long = "s".repeat(4096);
    let path = format!("/oauth2/authorize?{}", authorization_query(&[("state", &long)]));
    let rows = async || {
        let dump = server.database.dump().await;
        dump.into_iter().map(|(table, rows)| (table, rows.len())).collect::<Vec<_>>()
    };
    let (rows_before, size_before) = (rows().await, database_size(&server).await);

    let send_requests = async || {
        for _ in 0..UNAUTHENTICATED_REQUESTS / 16 {
            let request = server.request(Method::GET, &path);
            let answer =
                request.header("x-forwarded-for", server.new_client_address()).send().await;
            assert_eq!(answer.unwrap().status(), 200);
        }
    };
    join_all((0..16).map(|_| send_requests())).await;

    assert_eq!(rows().await, rows_before);
    assert!(database_size(&server).await <= size_before + 64 * 1024, "{size_before}");
}

/// Failed logins and changes between the login and sign-up pages do not extend the lifetime of the
/// request.
#[tokio::test]
async fn pending_request_survives_failed_logins_and_page_changes() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let login = browser.authorize(&[("login_hint", ADA)]).await;
    let sealed = flow(&login);

    let wrong = [("username", ADA), ("password", "Wrong-0000")];
    let page = browser.submit("/login", &login, &wrong).await;
    page.expect_status(400);
    let signup = browser.open("/signup", &page).await;
    signup.expect_status(200);
    assert!(signup.html().contains(&format!("value=\"{ADA}\"")), "{}", signup.html());
    let weak = browser.submit("/signup", &signup, &[("username", "x"), ("password", "x")]).await;
    weak.expect_status(400);
    let login = browser.open("/login", &weak).await;
    login.expect_status(200);
    for page in [&page, &signup, &weak, &login] {
        assert_eq!(flow(page), sealed);
        assert!(page.header("content-security-policy").contains("'self' https://rp.example;"));
        assert!(!page.html().contains("?flow="), "{}", page.html());
    }
    server.advance_seconds(30 * 60 - 1);
    let typed = [("username", ADA), ("password", PASSWORD)];
    let done = browser.submit("/login", &login, &typed).await.sent_to(CALLBACK);
    assert!(done.contains_key("code") && done["state"] == "af0ifjsldkj", "{done:?}");
}

/// The half hour starts with the authorization request, not with the last page.
#[tokio::test]
async fn pending_request_expires_after_half_an_hour() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let login = browser.authorize(&[]).await;
    server.advance_seconds(20 * 60);
    let wrong = [("username", ADA), ("password", "Wrong-0000")];
    let page = browser.submit("/login", &login, &wrong).await;
    server.advance_seconds(10 * 60);

    expect_start_again(
        &browser.submit("/login", &page, &[("username", ADA), ("password", PASSWORD)]).await,
    );
    expect_start_again(&browser.open("/signup", &page).await);
    assert_eq!(server.database.count("session WHERE cookie_digest IS NOT NULL").await, 0);
    let login = browser.authorize(&[]).await;
    assert!(browser.log_in(&login, ADA).await.sent_to(CALLBACK).contains_key("code"));
}

/// SS-01: a sealed request is rejected if it is altered, if it comes from another browser, and in a
/// URL.
#[tokio::test]
async fn sealed_request_is_valid_unaltered_in_its_browser_only() {
    let server = server().await;
    let (mut mine, mut other) = (Browser::of(&server), Browser::of(&server));
    let login = mine.authorize(&[]).await;
    let (sealed, own_csrf) = (flow(&login), csrf(&login));
    let other_csrf = csrf(&other.authorize(&[]).await);

    expect_start_again(&submit_login(&mut other, &other_csrf, &sealed).await);
    for at in [3, 10, sealed.len() / 2, sealed.len() - 20] {
        let mut altered = sealed.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        expect_start_again(&submit_login(&mut mine, &own_csrf, &altered).await);
    }
    for invalid in ["v1.", "v1.AAAA", "v2.AAAA", &sealed[3..], &format!("{sealed}A"), &sealed[..99]]
    {
        expect_start_again(&submit_login(&mut mine, &own_csrf, invalid).await);
    }
    // Browsers and proxies record URLs, so a sealed request is not accepted there.
    for page in ["login", "signup", "consent"] {
        expect_start_again(&mine.get(&format!("/{page}?flow={sealed}")).await);
    }
    assert_eq!(server.database.count("session WHERE cookie_digest IS NOT NULL").await, 0);
    assert!(
        submit_login(&mut mine, &own_csrf, &sealed).await.sent_to(CALLBACK).contains_key("code")
    );
}

/// MUST-069: the consent page does not accept a request that waits for a login.
#[tokio::test]
async fn consent_page_rejects_a_request_waiting_for_a_login() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let again = [&consent_request("openid")[..], &[("prompt", "login")]].concat();
    let page = browser.authorize(&again).await;
    page.expect_login_page();

    for decision in ["allow", "deny"] {
        expect_start_again(&browser.submit("/consent", &page, &[("decision", decision)]).await);
    }

    for table in ["consent", "authorization_code", PENDING_TABLE] {
        assert_eq!(server.database.count(table).await, 0, "{table}");
    }
}

/// An instance can decrypt the sealed requests of another, before and after a change of the master
/// key.
#[tokio::test]
async fn sealed_requests_open_at_other_instances_and_after_key_rotation() {
    let server = server().await;
    let beside = server.another_instance().await;
    let file = server.database.master_key_file();
    let old = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{}\n{old}", encode([7; 32]))).unwrap();
    let rotated = server.another_instance().await;

    for (from, to) in [(&server, &beside), (&beside, &server), (&server, &rotated)] {
        let mut browser = Browser::of(from);
        let login = browser.authorize(&[]).await;
        let mut same_browser = Browser::of(to);
        same_browser.cookie.clone_from(&browser.cookie);
        assert!(same_browser.log_in(&login, ADA).await.sent_to(CALLBACK).contains_key("code"));
        server.advance_seconds(61);
    }
    // At an instance without the new key, the user must start again. The other instances still
    // accept the request.
    let mut browser = Browser::of(&rotated);
    let login = browser.authorize(&[]).await;
    let mut outdated = Browser::of(&server);
    outdated.cookie.clone_from(&browser.cookie);
    expect_start_again(&outdated.log_in(&login, ADA).await);
    assert!(browser.log_in(&login, ADA).await.sent_to(CALLBACK).contains_key("code"));
}

/// The second tab needs no login, whether it is reloaded or its login form is submitted.
#[tokio::test]
async fn second_tab_continues_after_the_login_in_the_first() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let one = browser.authorize(&[("state", "one")]).await;
    let other = browser.authorize(&[("state", "other")]).await;
    assert_eq!(browser.log_in(&one, ADA).await.sent_to(CALLBACK)["state"], "one");

    assert_eq!(browser.log_in(&other, ADA).await.sent_to(CALLBACK)["state"], "other");
    assert_eq!(browser.authorize(&[("state", "other")]).await.sent_to(CALLBACK)["state"], "other");
    // The same applies to the form in the first tab, after the user has gone back to it.
    assert_eq!(browser.log_in(&one, ADA).await.sent_to(CALLBACK)["state"], "one");
    assert_eq!(server.database.count("auth_event WHERE type = 'login'").await, 1);
}

/// The consent page can be reloaded. From it, the user can log in to another account and return.
#[tokio::test]
async fn consent_page_survives_a_login_and_leads_to_another_account() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let login = browser.authorize(&consent_request("openid")).await;
    let consent = browser.log_in(&login, ADA).await.location();
    assert!(consent.starts_with(&format!("{ISSUER}/consent?flow=")), "{consent}");
    let page = browser.get(&consent).await;
    assert_eq!(browser.get(&consent).await.html(), page.html());
    assert_eq!(server.database.count(PENDING_TABLE).await, 1);

    let login = browser.get(&consent.replace("/consent", "/login")).await;
    let signup = browser.open("/signup", &login).await;
    signup.expect_status(200);
    let typed = [("username", BOB), ("password", PASSWORD)];
    let again = browser.submit("/login", &login, &typed).await;
    assert_eq!(again.location(), consent);
    let page = browser.get(&consent).await;
    assert!(page.html().contains(BOB), "{}", page.html());
    let allowed = browser.submit("/consent", &page, &[("decision", "allow")]).await;
    assert!(allowed.sent_to(CALLBACK).contains_key("code"));
    assert_eq!(server.database.count(PENDING_TABLE).await, 1);
}

/// W4: an account has at most sixteen rows, even with two instances. The oldest row is deleted.
/// Other accounts are not affected.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn account_keeps_its_newest_pending_requests_only() {
    let server = server().await;
    let beside = server.another_instance().await;
    let mut bob = Browser::of(&server);
    bob.log_in_without_request(BOB).await;
    let bobs = bob.authorize(&consent_request("openid")).await;
    let mut ada = Browser::of(&server);
    ada.log_in_without_request(ADA).await;
    let mut redirects = Vec::new();
    for _ in 0..17 {
        server.advance_millis(10);
        redirects.push(ada.authorize(&consent_request("openid")).await);
    }
    assert_eq!(server.database.count(PENDING_TABLE).await, 17);
    expect_start_again(&ada.get(&redirects[0].location()).await);
    for redirect in [&redirects[1], &redirects[16]] {
        ada.get(&redirect.location()).await.expect_status(200);
    }

    let cookie = ada.cookie.clone();
    join_all([&server, &beside].into_iter().cycle().take(24).map(async |instance| {
        let mut same_browser = Browser::of(instance);
        same_browser.cookie.clone_from(&cookie);
        same_browser.authorize(&consent_request("openid")).await.expect_status(303);
    }))
    .await;

    assert_eq!(server.database.count(PENDING_TABLE).await, 17);
    bob.grant_consent(&bobs).await;
    let newest = ada.authorize(&consent_request("openid")).await;
    ada.grant_consent(&newest).await;
}

/// Rolling upgrade: an instance of the previous version has stored the request of a browser without
/// a login. After a login or sign-up, the request is found by its handle and continues.
#[tokio::test]
async fn pending_request_of_the_previous_version_is_continued() {
    let server = server().await;
    let mut creator = Browser::of(&server);
    creator.log_in_without_request(BOB).await;

    for (page, email) in [("login", ADA), ("signup", "new@example.test")] {
        let consent = creator.authorize(&consent_request("openid")).await.location();
        let mut browser = Browser::of(&server);
        browser.get("/login").await;
        let cookie = browser.cookie.clone().unwrap();
        let digest = sha256(cookie.split_once('=').unwrap().1.as_bytes());
        let digest = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let literal = if server.database.is_postgres() {
            format!("'\\x{digest}'")
        } else {
            format!("X'{digest}'")
        };
        let as_before =
            format!("UPDATE {PENDING_TABLE} SET account_id = NULL, browser_digest = {literal}");
        server.database.execute(&as_before).await;

        let shown = browser.get(&consent.replace("/consent", &format!("/{page}"))).await;
        shown.expect_status(200);
        let typed = [("username", email), ("password", PASSWORD)];
        let logged_in = browser.submit(&format!("/{page}"), &shown, &typed).await;
        assert_eq!(logged_in.location(), consent, "{page}");
        browser.grant_consent(&logged_in).await;
    }
}

/// CO-10: `state` and `nonce` have the maximum length, and characters with the longest encodings.
#[tokio::test]
async fn longest_request_fits_into_its_forms() {
    let server = server().await;
    for (state, nonce) in [
        ("\\".repeat(4096), "\"".repeat(4096)),
        ("ü".repeat(2048), "\u{1f600}".repeat(1024)),
        ("s".repeat(4096), "n".repeat(4096)),
    ] {
        let mut browser = Browser::of(&server);
        browser.get("/login").await;
        let fields = authorization_query(&[("state", "-"), ("nonce", "-")]);
        // The values are not escaped, so the body does not exceed 16 KiB.
        let body = format!("{fields}&state={state}&nonce={nonce}");
        let request = browser.request(Method::POST, "/oauth2/authorize").body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let login = browser.send(request).await;
        let long = format!("{}@example.test", "a".repeat(240));
        let wrong = [("username", long.as_str()), ("password", &"ü".repeat(500))];
        let page = browser.submit("/login", &login, &wrong).await;
        page.expect_status(400);

        let page = browser.open("/signup", &page).await;
        let page = browser.open("/login", &page).await;
        let typed = [("username", ADA), ("password", PASSWORD)];
        let done = browser.submit("/login", &page, &typed).await;
        assert_eq!(done.sent_to(CALLBACK)["state"], state);
        server.advance_seconds(61);
    }
}

/// Only the login and sign-up forms contain a pending request, and so accept larger bodies.
#[tokio::test]
async fn other_pages_accept_no_larger_bodies() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/login").await;
    for (path, length, status) in [
        ("/login", 40_000, 400),
        ("/signup", 40_000, 400),
        ("/login", 60_000, 413),
        ("/signup", 60_000, 413),
        ("/consent", 17_000, 413),
        ("/account", 17_000, 413),
        ("/oauth2/authorize", 17_000, 413),
    ] {
        let fields = [("csrf", &*csrf(&page)), ("flow", &"x".repeat(length))];
        browser.post(path, &fields).await.expect_status(status);
    }
}

/// W4: IPv6 clients share the limit of their /48 in the in-memory limiters, too.
#[tokio::test]
async fn ipv6_48_is_limited_by_every_in_memory_limiter() {
    let server = TestServer::with(|config| {
        config.limits.refreshes_per_minute = 4;
        config.limits.requests_per_minute = 4;
        config.limits.attempts_per_minute = 5;
    })
    .await;
    server.register_web_client().await;
    let authorize = format!("/oauth2/authorize?{}", authorization_query(&[]));
    for (path, served) in [(authorize.as_str(), 200), ("/api/auth/me", 401)] {
        let get = async |client: String| {
            let request = server.request(Method::GET, path).bearer_auth("x");
            Answer::of(request.header("x-forwarded-for", client)).await.status
        };
        let mut statuses = Vec::new();
        for n in 0..100 {
            statuses.push(get(format!("2001:db8:7:{n:x}::1")).await);
        }
        let (admitted, refused): (Vec<_>, Vec<_>) =
            statuses.into_iter().partition(|status| *status == served);
        // The limit of a /48 is ten times that of a client, and refills while this test runs.
        assert!((40..60).contains(&admitted.len()), "{path}: {}", admitted.len());
        assert!(refused.iter().all(|status| *status == 429), "{path}: {refused:?}");
        assert_eq!(get("2001:db8:8::1".to_owned()).await, served, "{path}");
    }
}
