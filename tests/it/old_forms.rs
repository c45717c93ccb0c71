//! Forms that were loaded before a logout (B8). When such a form is submitted, the browser has a
//! different cookie or none. The pending request continues once the user has entered the password
//! again.

use reqwest::Method;

use crate::harness::oauth::{Browser, CALLBACK, WEB_CLIENT, csrf, flow, hidden_fields};
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";
const OUT_OF_DATE: &str = "This page was out of date";

async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.register_clients(WEB_CLIENT).await;
    for email in [ADA, BOB] {
        server.sign_up(email).await.expect_status(201);
    }
    server
}

/// A login page of a pending request, loaded before a login and a logout in another tab.
async fn login_page_from_before_a_logout(browser: &mut Browser<'_>) -> Answer {
    let page = browser.authorize(&[]).await;
    browser.log_in_without_request(ADA).await;
    log_out(browser).await;
    page
}

async fn log_out(browser: &mut Browser<'_>) {
    let question = browser.get("/logout").await;
    browser.submit("/logout", &question, &[]).await.expect_status(303);
    assert_eq!(browser.cookie, None);
}

/// Submits the form of a page as current browsers do, with `Sec-Fetch-Site`.
async fn submit_same_origin(
    browser: &mut Browser<'_>,
    path: &str,
    page: &Answer,
    fields: &[(&str, &str)],
) -> Answer {
    let carried = hidden_fields(page);
    let mut all: Vec<_> = carried.iter().map(|(name, value)| (&**name, &**value)).collect();
    all.extend(fields);
    browser.send(browser.form(path, &all).header("sec-fetch-site", "same-origin")).await
}

async fn log_in(browser: &mut Browser<'_>, page: &Answer, email: &str) -> Answer {
    submit_same_origin(browser, "/login", page, &[("username", email), ("password", PASSWORD)])
        .await
}

#[track_caller]
fn expect_out_of_date(page: &Answer) {
    page.expect_status(400);
    let html = page.html();
    assert!(html.contains(OUT_OF_DATE) && html.contains("to continue to"), "{html}");
}

#[track_caller]
fn expect_start_again(page: &Answer) {
    page.expect_status(400);
    assert!(page.html().contains("Start again"), "{}", page.html());
}

#[tokio::test]
async fn login_form_from_before_a_logout_continues_the_request() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let old = login_page_from_before_a_logout(&mut browser).await;

    let again = log_in(&mut browser, &old, ADA).await;

    expect_out_of_date(&again);
    assert!(again.html().contains(&format!("value=\"{ADA}\"")), "{}", again.html());
    assert!(again.header("content-security-policy").contains("'self' https://rp.example;"));
    let done = log_in(&mut browser, &again, ADA).await.sent_to(CALLBACK);
    assert!(done.contains_key("code") && done["state"] == "af0ifjsldkj", "{done:?}");
}

#[tokio::test]
async fn sign_up_form_from_before_a_logout_continues_the_request() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let old = login_page_from_before_a_logout(&mut browser).await;
    let signup = submit_same_origin(&mut browser, "/signup", &old, &[("open", "signup")]).await;
    signup.expect_status(200);
    browser.log_in_without_request(BOB).await;
    log_out(&mut browser).await;
    let typed = [("username", "new@example.test"), ("password", PASSWORD)];

    let again = submit_same_origin(&mut browser, "/signup", &signup, &typed).await;

    expect_out_of_date(&again);
    assert_eq!(server.database.count("account").await, 2);
    let done = submit_same_origin(&mut browser, "/signup", &again, &typed).await.sent_to(CALLBACK);
    assert!(done.contains_key("code"), "{done:?}");
}

/// Two tabs opened concurrently, before the browser has a cookie: the second cookie replaces the
/// first.
#[tokio::test]
async fn form_in_a_concurrently_opened_tab_continues_the_request() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let first = browser.authorize(&[]).await;
    browser.cookie = None;
    browser.authorize(&[("state", "of the second")]).await;

    let again = log_in(&mut browser, &first, ADA).await;

    expect_out_of_date(&again);
    let done = log_in(&mut browser, &again, ADA).await.sent_to(CALLBACK);
    assert_eq!(done["state"], "af0ifjsldkj");
}

#[tokio::test]
async fn login_form_without_a_request_from_before_a_logout_is_shown_again() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let old = browser.get("/login?then=delete-account").await;
    browser.log_in_without_request(ADA).await;
    log_out(&mut browser).await;

    let again = log_in(&mut browser, &old, ADA).await;

    again.expect_status(400);
    assert!(again.html().contains(OUT_OF_DATE), "{}", again.html());
    assert!(log_in(&mut browser, &again, ADA).await.location().ends_with("delete-account"));
}

/// If another user has logged in meanwhile, the password is required again.
#[tokio::test]
async fn form_from_before_another_users_login_is_shown_again() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let old = login_page_from_before_a_logout(&mut browser).await;
    browser.log_in_without_request(BOB).await;

    let again = log_in(&mut browser, &old, ADA).await;

    expect_out_of_date(&again);
    assert!(log_in(&mut browser, &again, ADA).await.sent_to(CALLBACK).contains_key("code"));
}

/// SS-01, SS-04: without `Sec-Fetch-Site: same-origin`, the response sets no cookie and does not
/// redirect.
#[tokio::test]
async fn stale_form_of_unproven_origin_gets_no_cookie_and_no_redirect() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let old = login_page_from_before_a_logout(&mut browser).await;
    let typed = [("username", ADA), ("password", PASSWORD)];

    let silent = browser.submit("/login", &old, &typed).await;
    let carried = hidden_fields(&old);
    let mut all: Vec<_> = carried.iter().map(|(name, value)| (&**name, &**value)).collect();
    all.extend(typed);
    let foreign = browser.form("/login", &all).header("sec-fetch-site", "cross-site");
    let foreign = browser.send(foreign).await;

    for answer in [silent, foreign] {
        expect_start_again(&answer);
        assert!(!answer.headers.contains_key("set-cookie"), "{answer:?}");
    }
}

/// A form with a current CSRF token, and with a request sealed for another browser.
#[tokio::test]
async fn request_sealed_for_another_browser_is_rejected_in_a_current_form() {
    let server = server().await;
    let (mut mine, mut other) = (Browser::of(&server), Browser::of(&server));
    let other_page = other.authorize(&[]).await;
    let own = csrf(&mine.get("/login").await);
    let sealed_for =
        hidden_fields(&other_page).into_iter().find(|(name, _)| name == "sealed_for").unwrap().1;
    let sealed = flow(&other_page);

    let fields = [
        ("csrf", own.as_str()),
        ("flow", &sealed),
        ("sealed_for", &sealed_for),
        ("username", ADA),
        ("password", PASSWORD),
    ];
    let request = mine.form("/login", &fields).header("sec-fetch-site", "same-origin");

    expect_start_again(&mine.send(request).await);
}

#[tokio::test]
async fn stale_form_with_an_expired_request_starts_again() {
    let server = server().await;
    let mut browser = Browser::of(&server);
    let old = login_page_from_before_a_logout(&mut browser).await;
    server.advance_seconds(30 * 60);

    expect_start_again(&log_in(&mut browser, &old, ADA).await);
    let nonsense = [("flow", "v1.AAAA"), ("sealed_for", "%%%"), ("username", ADA)];
    let request = browser.form("/login", &nonsense).header("sec-fetch-site", "same-origin");
    expect_start_again(&browser.send(request).await);
    assert_eq!(browser.request(Method::GET, "/livez").send().await.unwrap().status(), 200);
}

/// SS-02: for a request of another browser, the form is shown again. The request is granted only
/// after the password is entered, even if a user is logged in.
#[tokio::test]
async fn request_of_another_browser_needs_the_password() {
    let server = server().await;
    let mut attacker = Browser::of(&server);
    let other_page = attacker.authorize(&[("prompt", "login"), ("state", "of the attacker")]).await;
    let mut victim = Browser::of(&server);
    victim.log_in_without_request(ADA).await;

    let stolen = hidden_fields(&other_page);
    let mut fields: Vec<_> = stolen.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.push(("username", ADA));
    let silent = victim.post("/login", &fields).await;
    let same_origin = victim.form("/login", &fields).header("sec-fetch-site", "same-origin");
    let same_origin = victim.send(same_origin).await;

    expect_start_again(&silent);
    expect_out_of_date(&same_origin);
}
