//! A3: forms that are submitted twice, by a second click or from a page that stayed open. The
//! browser shows the response to the last submission. It must redirect as the first response did.
//!
//! There are two cases. Either the first response was lost together with the cookie that it set, or
//! the cookie has arrived, and the second submission comes from a page that was loaded before.

use crate::harness::consents::CONSENT_CLIENTS;
use crate::harness::oauth::{Browser, CALLBACK, ISSUER, Rp, WEB_CLIENT, csrf};
use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";
const ACTIVE_LOGINS: &str = "session WHERE cookie_digest IS NOT NULL AND ended_at IS NULL";

/// Whether the cookie of the first response has arrived when the form is sent again.
#[derive(Clone, Copy, Debug)]
enum Cookie {
    Lost,
    Arrived,
}

async fn server() -> (TestServer, Rp) {
    let server = TestServer::start().await;
    let web = server.register_clients(&[WEB_CLIENT, CONSENT_CLIENTS].concat()).await.remove(0);
    for email in [ADA, BOB] {
        server.sign_up(email).await.expect_status(201);
    }
    (server, web)
}

/// Submits a form twice, and returns both responses.
async fn submit_twice(
    browser: &mut Browser<'_>,
    (path, page): (&str, &Answer),
    fields: &[(&str, &str)],
    cookie: Cookie,
) -> (Answer, Answer) {
    let before = browser.cookie.clone();
    let first = browser.submit(path, page, fields).await;
    if let Cookie::Lost = cookie {
        browser.cookie = before;
    }
    (first, browser.submit(path, page, fields).await)
}

/// Asserts that only the code in the last response is valid.
async fn assert_last_code_is_valid(
    server: &TestServer,
    client: &Rp,
    first: &Answer,
    last: &Answer,
) {
    let code = |answer: &Answer| answer.sent_to(CALLBACK)["code"].clone();
    server.redeem(client, &code(first)).await.expect_oauth_error(400, "invalid_grant");
    server.redeem(client, &code(last)).await.expect_status(200);
}

async fn is_logged_in(browser: &mut Browser<'_>) -> bool {
    browser.get("/account").await.status == 200
}

#[tokio::test]
async fn repeated_login_form_logs_in_once() {
    for cookie in [Cookie::Lost, Cookie::Arrived] {
        let (server, web) = server().await;
        let mut browser = Browser::of(&server);
        let page = browser.authorize(&[]).await;
        let typed = [("username", ADA), ("password", PASSWORD)];

        let (first, last) = submit_twice(&mut browser, ("/login", &page), &typed, cookie).await;

        assert_last_code_is_valid(&server, &web, &first, &last).await;
        assert!(is_logged_in(&mut browser).await, "{cookie:?}");
        assert_eq!(server.database.count(ACTIVE_LOGINS).await, 1, "{cookie:?}");
    }
}

/// The submission that was received last determines the login, because the browser waits for its
/// response. The order of the commits does not matter.
#[tokio::test]
async fn a_repeated_login_form_that_commits_late_ends_its_own_login() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let page = browser.authorize(&[]).await;
    let before = browser.cookie.clone();
    let last = browser.log_in(&page, ADA).await.sent_to(CALLBACK)["code"].clone();
    let cookie_of_last = browser.cookie.clone();
    // As if another instance had received this submission a second after the next one.
    let later = "UPDATE session SET auth_time = auth_time + 1000000";
    server.database.execute(later).await;
    browser.cookie = before;

    let late = browser.submit("/login", &page, &[("username", ADA), ("password", PASSWORD)]).await;

    assert!(late.status == 200 || !late.sent_to(CALLBACK).contains_key("code"), "{late:?}");
    browser.cookie = cookie_of_last;
    assert!(is_logged_in(&mut browser).await);
    server.redeem(&web, &last).await.expect_status(200);
    assert_eq!(server.database.count(ACTIVE_LOGINS).await, 1);
}

#[tokio::test]
async fn repeated_login_form_without_a_request_redirects_to_the_account() {
    for cookie in [Cookie::Lost, Cookie::Arrived] {
        let (server, _) = server().await;
        let mut browser = Browser::of(&server);
        let page = browser.get("/login").await;
        let typed = [("username", ADA), ("password", PASSWORD)];

        let (_, last) = submit_twice(&mut browser, ("/login", &page), &typed, cookie).await;

        assert_eq!(last.location(), format!("{ISSUER}/account"));
        assert!(is_logged_in(&mut browser).await, "{cookie:?}");
        assert_eq!(server.database.count(ACTIVE_LOGINS).await, 1, "{cookie:?}");
    }
}

#[tokio::test]
async fn repeated_sign_up_form_signs_up_once() {
    for cookie in [Cookie::Lost, Cookie::Arrived] {
        let (server, web) = server().await;
        let mut browser = Browser::of(&server);
        let login = browser.authorize(&[]).await;
        let page = browser.open("/signup", &login).await;
        let typed = [("username", "eve@example.test"), ("password", PASSWORD)];

        let (first, last) = submit_twice(&mut browser, ("/signup", &page), &typed, cookie).await;

        assert_last_code_is_valid(&server, &web, &first, &last).await;
        assert!(is_logged_in(&mut browser).await, "{cookie:?}");
        assert_eq!(server.database.count(ACTIVE_LOGINS).await, 1, "{cookie:?}");
    }
}

/// A sign-up with an existing address and the correct password logs in only in the browser that has
/// just created the account.
#[tokio::test]
async fn repeated_sign_up_logs_in_only_in_the_same_browser() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/signup").await;
    let typed = [("username", "eve@example.test"), ("password", PASSWORD)];
    let before = browser.cookie.clone();
    browser.submit("/signup", &page, &typed).await.expect_status(303);

    let mut other = Browser::of(&server);
    let other_page = other.get("/signup").await;
    other.submit("/signup", &other_page, &typed).await.expect_status(409);
    browser.cookie = before;
    let wrong = [("username", "eve@example.test"), ("password", "Another-horse-7")];
    browser.submit("/signup", &page, &wrong).await.expect_status(409);
    // The wrong password counts as a login attempt.
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 1);
    server.advance_seconds(30 * 60);
    browser.submit("/signup", &page, &typed).await.expect_status(409);
}

/// Forms that were loaded before the login are submitted with the address of another user.
#[tokio::test]
async fn stale_sign_up_form_does_not_log_in_another_user() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    let page = browser.authorize(&[]).await;
    let signup = browser.open("/signup", &page).await;
    browser.log_in(&page, ADA).await.sent_to(CALLBACK);

    let typed = [("username", BOB), ("password", PASSWORD)];
    let login = browser.submit("/login", &page, &typed).await;
    login.expect_status(400);
    assert!(login.html().contains("Another account has logged in"), "{}", login.html());
    assert!(login.html().contains(BOB), "the form keeps the typed address");
    browser.submit("/signup", &signup, &typed).await.expect_status(400);
    assert_eq!(server.database.count("auth_event WHERE type = 'login'").await, 1);
    // The form in the response belongs to the current login.
    assert!(browser.submit("/login", &login, &typed).await.sent_to(CALLBACK).contains_key("code"));
}

/// The tabs belong to two clients and submit their forms concurrently.
#[tokio::test]
async fn concurrent_logins_in_two_tabs_both_get_valid_codes() {
    let (server, web) = server().await;
    let mut browser = Browser::of(&server);
    let one = browser.authorize(&[]).await;
    let other = browser.authorize(&[("client_id", "asking"), ("scope", "openid")]).await;
    let before = browser.cookie.clone();
    let code = browser.log_in(&one, ADA).await.sent_to(CALLBACK)["code"].clone();
    browser.cookie = before;

    browser.log_in(&other, ADA).await.expect_status(303);

    server.redeem(&web, &code).await.expect_status(200);
}

#[tokio::test]
async fn repeated_consent_form_has_one_effect() {
    let server = TestServer::start().await;
    let asking = server.register_clients(CONSENT_CLIENTS).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let parameters = [("client_id", "asking"), ("scope", "openid")];
    let asked = browser.authorize(&parameters).await;
    let page = browser.open_consent_page(&asked).await;
    let (allow, deny) = ([("decision", "allow")], [("decision", "deny")]);

    let (first, last) =
        submit_twice(&mut browser, ("/consent", &page), &allow, Cookie::Arrived).await;
    assert_last_code_is_valid(&server, &asking, &first, &last).await;
    // If the decisions differ, the last one counts.
    let allowed = browser.submit("/consent", &page, &allow).await;
    let denied = browser.submit("/consent", &page, &deny).await;
    assert_eq!(denied.sent_to(CALLBACK)["error"], "access_denied");
    let code = allowed.sent_to(CALLBACK)["code"].clone();
    server.redeem(&asking, &code).await.expect_oauth_error(400, "invalid_grant");
    let again = browser.submit("/consent", &page, &deny).await;
    assert_eq!(again.sent_to(CALLBACK)["error"], "access_denied");

    // An old page does not restore a withdrawn consent, even while its request is still valid.
    browser.withdraw_consent("asking").await.expect_status(303);
    browser.submit("/consent", &page, &allow).await.expect_status(400);
    let asked = browser.authorize(&parameters).await;
    let page = browser.open_consent_page(&asked).await;
    server.advance_seconds(30 * 60);
    browser.submit("/consent", &page, &allow).await.expect_status(400);
}

/// If another user has logged in since the page was loaded, that user is asked for consent.
#[tokio::test]
async fn consent_page_from_before_a_login_asks_again() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let asked = browser.authorize(&[("client_id", "asking"), ("scope", "openid")]).await;
    let page = browser.open_consent_page(&asked).await;
    let other = browser.authorize(&[("prompt", "login")]).await;
    browser.log_in(&other, BOB).await.sent_to(CALLBACK);

    let again = browser.submit("/consent", &page, &[("decision", "allow")]).await;

    again.expect_status(400);
    assert!(again.html().contains(BOB), "{}", again.html());
    assert!(again.html().contains("Allow access?"), "{}", again.html());
    assert_eq!(server.database.count("consent").await, 0);
}

#[tokio::test]
async fn repeated_password_change_form_has_one_effect() {
    for cookie in [Cookie::Lost, Cookie::Arrived] {
        let (server, _) = server().await;
        let mut browser = Browser::of(&server);
        browser.log_in_without_request(ADA).await;
        let page = browser.get("/change-password").await;
        let typed = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD)];

        let (_, last) =
            submit_twice(&mut browser, ("/change-password", &page), &typed, cookie).await;
        let third = browser.submit("/change-password", &page, &typed).await;

        for answer in [last, third] {
            assert_eq!(answer.location(), format!("{ISSUER}/account?done=password"), "{cookie:?}");
        }
        assert!(is_logged_in(&mut browser).await, "{cookie:?}");
        // The rows of the ended sessions are updated shortly after the response.
        let is_alone = async || server.database.count(ACTIVE_LOGINS).await == 1;
        eventually("only one login is active", is_alone).await;
    }
}

/// SS-01: even a form submitted with the previous cookie does not count as repeated, unless it has
/// the new password.
#[tokio::test]
async fn cookie_from_before_a_password_change_is_invalid() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let mut thief = Browser::of(&server);
    thief.cookie.clone_from(&browser.cookie);
    let page = browser.get("/change-password").await;
    let typed = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD)];
    browser.submit("/change-password", &page, &typed).await.expect_status(303);

    let guess = [("current_password", PASSWORD), ("new_password", "Another-horse-7")];
    let refused = thief.submit("/change-password", &page, &guess).await;

    assert_eq!(refused.location(), format!("{ISSUER}/login?then=change-password"));
    assert!(!is_logged_in(&mut thief).await);
    assert!(is_logged_in(&mut browser).await);
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 1);
}

#[tokio::test]
async fn repeated_deletion_form_has_one_effect() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let page = browser.get("/delete-account").await;
    let typed = [("password", PASSWORD)];
    let deleted = format!("{ISSUER}/delete-account?done=deletion");

    let (_, last) =
        submit_twice(&mut browser, ("/delete-account", &page), &typed, Cookie::Arrived).await;
    assert_eq!(last.location(), deleted);
    eventually("its rows are deleted", async || server.database.count("account").await == 1).await;

    let again = browser.submit("/delete-account", &page, &typed).await;
    assert_eq!(again.location(), deleted);
    // A page with another CSRF token does not report the deletion.
    let mut other = Browser::of(&server);
    let login = other.get("/login").await;
    let account = page.html().split_once("name=\"account\" value=\"").unwrap().1.to_owned();
    let account = account.split('"').next().unwrap();
    let fields = [("csrf", csrf(&login)), ("account", account.to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = other.post("/delete-account", &fields).await;
    assert_eq!(answer.location(), format!("{ISSUER}/login?then=delete-account"));
}

#[tokio::test]
async fn repeated_logout_form_has_one_effect() {
    for cookie in [Cookie::Lost, Cookie::Arrived] {
        let (server, web) = server().await;
        let mut browser = Browser::of(&server);
        let login = browser.authorize(&[]).await;
        let code = browser.log_in(&login, ADA).await.sent_to(CALLBACK)["code"].clone();
        let hint = server.redeem(&web, &code).await.text("id_token");
        // The login differs from that of the ID token, so a confirmation is required.
        browser.log_in_without_request(ADA).await;
        let query =
            format!("id_token_hint={hint}&post_logout_redirect_uri=https://rp.example/bye&state=x");
        let mut other_browser = Browser::of(&server);
        other_browser.log_in_without_request(ADA).await;
        let page = other_browser.get(&format!("/oauth2/logout?{query}")).await;
        page.expect_status(200);

        let (first, last) = submit_twice(&mut other_browser, ("/logout", &page), &[], cookie).await;

        for answer in [first, last] {
            assert_eq!(answer.location(), "https://rp.example/bye?state=x", "{cookie:?}");
        }
        assert!(!is_logged_in(&mut other_browser).await);
    }
}

#[tokio::test]
async fn repeated_session_end_forms_have_one_effect() {
    for cookie in [Cookie::Lost, Cookie::Arrived] {
        let (server, _) = server().await;
        let (mut browser, mut other) = (Browser::of(&server), Browser::of(&server));
        browser.log_in_without_request(ADA).await;
        other.log_in_without_request(ADA).await;
        let page = browser.get("/account").await;
        let ids: Vec<String> = page
            .html()
            .split("name=\"end\" value=\"")
            .skip(1)
            .map(|it| it.split('"').next().unwrap().to_owned())
            .collect();

        let one = [("end", ids[0].as_str())];
        let (_, last) = submit_twice(&mut browser, ("/account", &page), &one, cookie).await;
        assert_eq!(last.location(), format!("{ISSUER}/account?done=end"));
        let all = [("end", "all")];
        let (_, last) = submit_twice(&mut browser, ("/account", &page), &all, cookie).await;
        assert_eq!(last.location(), format!("{ISSUER}/logout"), "{cookie:?}");
        assert!(!is_logged_in(&mut browser).await);
    }
}

/// SS-04: browsers send a form of another site without the cookie. A cookie in the response would
/// still replace or delete the browser's cookie.
#[tokio::test]
async fn form_without_the_cookie_changes_no_cookie() {
    let (server, _) = server().await;
    for (path, fields) in [
        ("/logout", vec![("x", "1")]),
        ("/login", vec![("open", "1")]),
        ("/signup", vec![("open", "1")]),
        ("/login", vec![("username", ADA), ("password", PASSWORD)]),
        ("/account", vec![("end", "all")]),
        ("/delete-account", vec![("password", PASSWORD)]),
        ("/change-password", vec![("new_password", NEW_PASSWORD)]),
    ] {
        let browser = Browser::of(&server);
        let plain = Answer::of(browser.form(path, &fields)).await;
        let foreign = browser.form(path, &fields).header("sec-fetch-site", "cross-site");
        for answer in [plain, Answer::of(foreign).await] {
            assert!(!answer.headers.contains_key("set-cookie"), "{path}: {answer:?}");
        }
    }
}

/// A repeated form must still meet the requirements of `max_age` and `prompt`.
#[tokio::test]
async fn form_repeated_later_requires_reauthentication() {
    for parameter in [("max_age", "30"), ("prompt", "login")] {
        let (server, _) = server().await;
        let mut browser = Browser::of(&server);
        let page = browser.authorize(&[parameter]).await;
        let typed = [("username", ADA), ("password", PASSWORD)];
        browser.submit("/login", &page, &typed).await.sent_to(CALLBACK);
        assert!(
            browser.submit("/login", &page, &typed).await.sent_to(CALLBACK).contains_key("code")
        );

        server.advance_seconds(61);
        let again = browser.submit("/login", &page, &typed).await;

        again.expect_status(200);
        assert!(again.html().contains("<h1>Log in</h1>"), "{parameter:?}: {}", again.html());
    }
}

/// The browser still has the cookie of the user who has logged out.
#[tokio::test]
async fn login_of_another_user_does_not_inherit_pending_requests() {
    let (server, _) = server().await;
    let mut browser = Browser::of(&server);
    browser.log_in_without_request(ADA).await;
    let redirect = browser.authorize(&[("client_id", "asking"), ("scope", "openid")]).await;
    let consent = redirect.location();
    let old_cookie = browser.cookie.clone();
    let logout = browser.get("/logout").await;
    browser.submit("/logout", &logout, &[]).await.expect_status(303);

    browser.cookie = old_cookie;
    browser.log_in_without_request(BOB).await;

    let page = browser.get(&consent).await;
    page.expect_status(400);
    assert!(page.html().contains("Start again"), "{}", page.html());
}
