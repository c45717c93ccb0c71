//! Forms with a link or a code of a mail that are submitted twice, by a double click for example. The
//! browser shows only the second response, which must be like the first.

use signet::config::{Config, VerifyEmail};

use crate::harness::mailed::{mail, mail_by, secrets};
use crate::harness::oauth::{Browser, ISSUER};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, TestServer};

const ADA: &str = "ada@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";

async fn start(change: impl FnOnce(&mut Config)) -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        mail_by(config, &url);
        change(config);
    })
    .await;
    (smtp, server)
}

/// Submits a form twice with the same cookie, the second time to another instance. Returns where
/// both responses redirect.
async fn submit_twice(
    server: &TestServer,
    browser: &mut Browser<'_>,
    (path, page): (&str, &Answer),
    fields: &[(&str, &str)],
) -> [String; 2] {
    let other = server.another_instance().await;
    let mut same = Browser::of(&other);
    same.cookie.clone_from(&browser.cookie);
    let first = browser.submit(path, page, fields).await;
    let second = same.submit(path, page, fields).await;
    [first.location(), second.location()]
}

#[tokio::test]
async fn new_password_by_link_or_code_is_set_once() {
    let (smtp, server) = start(|_| {}).await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    for number in [1, 3] {
        let is_link = number == 1;
        server.advance_seconds(60);
        let page = browser.get("/forgot-password").await;
        browser.submit("/forgot-password", &page, &[("username", ADA)]).await.expect_status(303);
        let (link, code) = secrets(&mail(&smtp, number).await);
        let path = if is_link { link.strip_prefix(ISSUER).unwrap() } else { "/reset-password" };
        let page = browser.get(path).await;
        let code = if is_link { "" } else { &code };
        let password = if is_link { NEW_PASSWORD } else { "Analytical-Engine-1837" };
        let typed = [("code", code), ("new_password", password)];
        let form = ("/reset-password", &page);

        let responses = submit_twice(&server, &mut browser, form, &typed).await;

        assert_eq!(
            responses,
            [format!("{ISSUER}/reset-password?done=reset"), responses[0].clone()]
        );
        server.log_in(ADA, password).await.expect_status(200);
        let other = [("code", code), ("new_password", PASSWORD)];
        browser.submit(form.0, &page, &other).await.expect_status(400);
        server.advance_seconds(61);
        browser.submit(form.0, &page, &typed).await.expect_status(400);
        let resets = server.database.count("auth_event WHERE type = 'password_reset'").await;
        assert_eq!(resets, if is_link { 1 } else { 2 });
        // The notice of the new password.
        mail(&smtp, number + 1).await;
    }
}

#[tokio::test]
async fn address_is_verified_once_by_code_or_link() {
    for is_link in [false, true] {
        let (smtp, server) =
            start(|config| config.signup.verify_email = VerifyEmail::Require).await;
        let mut browser = Browser::of(&server);
        let page = browser.get("/signup").await;
        let typed = [("username", ADA), ("password", PASSWORD)];
        browser.submit("/signup", &page, &typed).await.expect_status(303);
        let (link, code) = secrets(&mail(&smtp, 1).await);
        let path = if is_link { link.strip_prefix(ISSUER).unwrap() } else { "/verify-email" };
        let page = browser.get(path).await;
        let typed = [("code", code.as_str())];
        let typed = if is_link { &[][..] } else { &typed };

        let responses = submit_twice(&server, &mut browser, ("/verify-email", &page), typed).await;

        let verified = format!("{ISSUER}/verify-email?done=verified");
        assert_eq!(responses, [verified.clone(), verified]);
        assert_eq!(server.database.count("auth_event WHERE type = 'email_verified'").await, 1);
        server.advance_seconds(61);
        browser.submit("/verify-email", &page, typed).await.expect_status(400);
    }
}

/// Elsewhere than in the browser of the sign-up, the link sets a new password.
#[tokio::test]
async fn address_is_verified_once_with_a_new_password() {
    let (smtp, server) = start(|config| config.signup.verify_email = VerifyEmail::Require).await;
    server.sign_up(ADA).await.expect_status(202);
    let (link, _) = secrets(&mail(&smtp, 1).await);
    let mut browser = Browser::of(&server);
    let page = browser.get(link.strip_prefix(ISSUER).unwrap()).await;
    let typed = [("new_password", NEW_PASSWORD)];

    let responses = submit_twice(&server, &mut browser, ("/verify-email", &page), &typed).await;

    let set = format!("{ISSUER}/reset-password?done=reset");
    assert_eq!(responses, [set.clone(), set]);
    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
    let other = [("new_password", PASSWORD)];
    browser.submit("/verify-email", &page, &other).await.expect_status(400);
}

/// The first response logs the user in. If its cookie was lost, the second one leads to the login.
#[tokio::test]
async fn concealed_sign_up_is_confirmed_once() {
    let (smtp, server) = start(|config| {
        config.signup.verify_email = VerifyEmail::Require;
        config.signup.signup_reveals_existing = false;
    })
    .await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/signup").await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    browser.submit("/signup", &page, &typed).await.expect_status(303);
    let (_, code) = secrets(&mail(&smtp, 1).await);
    let page = browser.get("/verify-email").await;
    let typed = [("code", code.as_str())];

    let responses = submit_twice(&server, &mut browser, ("/verify-email", &page), &typed).await;

    let expected = ["account", "verify-email?done=verified"].map(|it| format!("{ISSUER}/{it}"));
    assert_eq!(responses, expected);
    assert_eq!(server.database.count("account").await, 1);
}
