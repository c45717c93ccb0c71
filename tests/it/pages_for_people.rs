//! Responses to browsers, outside the usual page flow: HTML errors, redirects, and rate limits.

use reqwest::Method;

use crate::harness::oauth::{Browser, ISSUER, csrf};
use crate::harness::{Answer, PASSWORD, TestServer};

/// The `Accept` header of Chromium.
const BROWSER_ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// B9: for an unknown URL or an oversized request, a browser gets an HTML page.
#[tokio::test]
async fn browsers_get_html_errors_and_programs_get_json() {
    let server = TestServer::start().await;
    let long = format!("/login?{}", "x".repeat(9 * 1024));
    let many_cookies = format!("a={}", "x".repeat(20 * 1024));
    for (path, cookies, status, text) in [
        ("/no/such/page", "a=b", 404, "There is nothing at this address."),
        (long.as_str(), "a=b", 414, "The address is too long."),
        ("/account", many_cookies.as_str(), 431, "Delete the cookies of this site"),
    ] {
        let request = || server.request(Method::GET, path).header("cookie", cookies);
        let page = Answer::of(request().header("accept", BROWSER_ACCEPT)).await;
        page.expect_status(status);
        assert!(page.html().contains(text), "{}", page.html());
        assert!(page.html().contains("href=\"/assets/style.css\""), "{}", page.html());
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        for program in ["*/*", "application/json"] {
            let answer = Answer::of(request().header("accept", program)).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (status, "application/json")
            );
        }
    }
    let api = server.request(Method::GET, "/api/no-such-thing").header("accept", BROWSER_ACCEPT);
    assert_eq!(Answer::of(api).await.header("content-type"), "application/json");
}

/// B9: the service's root URL, and pages requested with a trailing slash.
#[tokio::test]
async fn root_url_redirects_to_the_account_page() {
    let server = TestServer::start().await;
    let mut browser = Browser::of(&server);
    let opened = browser.request(Method::GET, "/").header("accept", BROWSER_ACCEPT);
    assert_eq!(browser.send(opened).await.location(), format!("{ISSUER}/account"));
    let documents = server.get("/").await.json();
    assert_eq!(documents["documentation"], format!("{ISSUER}/docs"));
    let metadata = format!("{ISSUER}/.well-known/openid-configuration");
    assert_eq!(documents["openid_configuration"], metadata);
    for page in ["login", "signup", "account", "logout", "change-password"] {
        let answer = browser.get(&format!("/{page}/")).await;
        assert_eq!(answer.location(), format!("{ISSUER}/{page}"));
    }
}

/// B6: a page opened under another host name links to pages under that name, because its Content
/// Security Policy allows no other target for forms.
#[tokio::test]
async fn pages_link_to_the_host_name_they_were_opened_under() {
    let server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = Browser::of(&server);
    let login = browser.get("/login").await;
    let typed = [("username", "ada@example.test"), ("password", PASSWORD)];
    let logged_in = browser.submit("/login", &login, &typed).await;
    assert_eq!(logged_in.header("location"), "account");
    let logout = browser.get("/logout").await;
    assert_eq!(browser.submit("/logout", &logout, &[]).await.header("location"), "logout");
    assert_eq!(browser.get("/oauth2/logout").await.header("location"), "../logout");
}

/// B8: after too many attempts, the form shows how long to wait, and still contains the address.
#[tokio::test]
async fn rate_limited_form_shows_the_wait_and_keeps_the_address() {
    let server = TestServer::start().await;
    for (path, password) in [("/login", "Wrong-horse-7"), ("/signup", PASSWORD)] {
        for number in 0..5 {
            let email = format!("person{number}@example.test");
            let answer = submit(&server, path, &email, password).await;
            assert_ne!(answer.status, 429, "{path}");
        }

        let answer = submit(&server, path, "last@example.test", password).await;

        answer.expect_status(429);
        let seconds = answer.header("retry-after");
        let text =
            format!("Too many attempts from your network. Wait {seconds} seconds, then try again.");
        assert!(answer.html().contains(&text), "{}", answer.html());
        assert!(answer.html().contains("value=\"last@example.test\""), "{}", answer.html());
    }
}

/// Submits a form from a new browser, always from the same client address.
async fn submit(server: &TestServer, path: &str, email: &str, password: &str) -> Answer {
    let mut browser = Browser::of(server);
    let page = browser.get(path).await;
    let csrf = csrf(&page);
    let fields = [("csrf", csrf.as_str()), ("username", email), ("password", password)];
    let request = browser.form(path, &fields).header("x-forwarded-for", "203.0.113.9");
    Answer::of(request.header("cookie", browser.cookie.unwrap())).await
}
