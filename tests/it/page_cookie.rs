//! B7: the cookie of the hosted pages, if several Signet services share a host name, and if a
//! browser has the cookie of the previous version.

use crate::harness::oauth::Browser;
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const OLD_NAME: &str = "__Host-signet";

async fn server_with_issuer(issuer: &'static str) -> TestServer {
    let server = TestServer::with(|config| config.service.issuer = Some(issuer.to_owned())).await;
    server.sign_up(ADA).await.expect_status(201);
    server
}

/// The cookies of a browser that has logged in.
async fn logged_in(server: &TestServer) -> String {
    let mut browser = Browser::of(server);
    log_in(&mut browser).await;
    browser.cookie.unwrap()
}

/// Both responses of a login: its page, and the redirect.
async fn log_in(browser: &mut Browser<'_>) -> [Answer; 2] {
    let page = browser.get("/login").await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    let done = browser.submit("/login", &page, &typed).await;
    done.expect_status(303);
    [page, done]
}

async fn is_logged_in(server: &TestServer, cookies: &str) -> bool {
    let mut browser = Browser::of(server);
    browser.cookie = Some(cookies.to_owned());
    browser.get("/account").await.status == 200
}

#[tokio::test]
async fn logins_at_two_issuers_on_one_host_are_independent() {
    let one = server_with_issuer("http://localhost:8080").await;
    let other = server_with_issuer("http://localhost:8081").await;

    let (at_one, at_other) = (logged_in(&one).await, logged_in(&other).await);

    let name = |cookie: &str| cookie.split_once('=').unwrap().0.to_owned();
    assert_ne!(name(&at_one), name(&at_other));
    // Both servers set the old name, too. The second login overwrote its value.
    let value = at_other.split_once('=').unwrap().1;
    let both = format!("{at_one}; {at_other}; {OLD_NAME}={value}");
    assert!(is_logged_in(&one, &both).await);
    assert!(is_logged_in(&other, &both).await);
}

/// Rolling upgrade: instances of the previous version set and read the old name.
#[tokio::test]
async fn cookie_of_the_previous_name_is_accepted_and_renamed() {
    let server = server_with_issuer("http://localhost:8080").await;
    let cookie = logged_in(&server).await;
    let (name, value) = cookie.split_once('=').unwrap();
    let old = format!("{OLD_NAME}={value}");

    let mut browser = Browser::of(&server);
    browser.cookie = Some(old.clone());
    browser.get("/account").await.expect_status(200);

    assert_eq!(browser.cookie.unwrap(), cookie, "the first response sets the new name");
    // A login at an instance of the previous version sets the old name only.
    let outdated = format!("{name}={}; {old}", "a".repeat(43));
    assert!(is_logged_in(&server, &outdated).await);
    let twice = format!("{old}; {old}");
    assert!(!is_logged_in(&server, &twice).await, "one of the cookies belongs to another login");
}

#[tokio::test]
async fn login_sets_and_logout_removes_both_cookie_names() {
    let server = server_with_issuer("http://localhost:8080").await;
    let mut browser = Browser::of(&server);

    let [page, logged_in] = log_in(&mut browser).await;
    let question = browser.get("/logout").await;
    let logged_out = browser.submit("/logout", &question, &[]).await;

    for (answer, is_removed) in [(page, false), (logged_in, false), (logged_out, true)] {
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        let cookies: Vec<_> = cookies.iter().map(|cookie| cookie.to_str().unwrap()).collect();
        let [new, old] = cookies[..] else { panic!("{cookies:?}") };
        let rest = new.split_once('=').unwrap().1;
        assert!(new.starts_with("__Host-signet-"), "{new}");
        assert_eq!(new.contains("Max-Age=0"), is_removed, "{new}");
        assert_eq!(old, format!("{OLD_NAME}={rest}"));
    }
}
