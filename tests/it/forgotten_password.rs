//! A forgotten password: the request, the mail with a link and a code, and the new password.

use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::harness::mailed::{mail, mail_by, secrets, token_of};
use crate::harness::oauth::{Browser, ISSUER};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const ADA: &str = "ada@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";
const OTHER_PASSWORD: &str = "Difference-Engine-1833";

/// A server that sends mail, and Ada's account.
async fn start() -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| mail_by(config, &url)).await;
    server.sign_up(ADA).await.expect_status(201);
    (smtp, server)
}

/// Requests a mail, and returns the handle.
async fn request(server: &TestServer, email: &str) -> String {
    let requested = send_request(server, email).await;
    requested.expect_status(202);
    requested.json()["handle"].as_str().unwrap().to_owned()
}

async fn send_request(server: &TestServer, email: &str) -> Answer {
    server.post("/api/auth/password/forgotten", &json!({ "email": email })).await
}

async fn reset(server: &TestServer, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "new_password": password });
    server.post("/api/auth/password/reset", &body).await
}

async fn reset_by_code(server: &TestServer, handle: &str, code: &str, password: &str) -> Answer {
    let body = json!({ "handle": handle, "code": code, "new_password": password });
    server.post("/api/auth/password/reset/code", &body).await
}

/// RS-01, RS-04, RS-06: the link leads to the issuer whatever the request says. Its token sets the
/// password once, and all sessions end.
#[tokio::test]
async fn link_sets_a_new_password() {
    let (smtp, server) = start().await;
    let before = server.log_in(ADA, PASSWORD).await.tokens();
    let ask = server.request(Method::POST, "/api/auth/password/forgotten");
    let ask = ask.header("host", "evil.example").header("x-forwarded-host", "evil.example");
    Answer::of(ask.json(&json!({ "email": ADA }))).await.expect_status(202);
    let mail = mail(&smtp, 1).await;
    let (link, _) = secrets(&mail);
    assert!(link.starts_with(&format!("{ISSUER}/reset-password?token=sgp_")), "{link}");
    assert!(!mail.raw.contains("evil.example"));

    reset(&server, token_of(&link), NEW_PASSWORD).await.expect_status(204);

    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    let owner = server.log_in(ADA, NEW_PASSWORD).await.expect_status(200).tokens();
    assert_eq!(server.me(&owner.access_token).await.json()["email_verified"], true);
    server.refresh(&before.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    let again = reset(&server, token_of(&link), OTHER_PASSWORD).await;
    again.expect_error(400, "INVALID_RESET_TOKEN");
    eventually("the owner is notified", async || smtp.mails().len() == 2).await;
}

/// EN-07: a newer request voids the older one, whether or not the address has an account. Otherwise
/// a device could find out by a second request whether there is an account.
#[tokio::test]
async fn newer_request_replaces_the_older_one_of_any_address() {
    let (_smtp, server) = start().await;

    for (email, rows) in [(ADA, 1), ("bob@example.test", 2), ("BOB@example.test", 2)] {
        for _ in 0..2 {
            request(&server, email).await;
            assert_eq!(server.database.count("email_challenge").await, rows, "{email}");
            server.advance_seconds(1);
        }
    }
}

/// A request that is stored just after the address of the account has changed sends nothing to the
/// old address.
#[tokio::test]
async fn request_during_a_change_of_the_address_sends_nothing() {
    let (smtp, server) = start().await;
    let db = server.database.connect().await;
    let txn = db.begin().await.unwrap();
    let change = "UPDATE account SET email = 'new@example.test', \
                  email_canonical = 'new@example.test', email_folded = NULL";
    txn.execute_unprepared(change).await.unwrap();
    let commit = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        txn.commit().await.unwrap();
    };

    join(request(&server, ADA), commit).await;

    request(&server, "new@example.test").await;
    eventually("the new address gets a mail", async || {
        !smtp.mails_to("new@example.test").is_empty()
    })
    .await;
    assert_eq!(smtp.mails().len(), 1);
}

/// The code works only with the handle of the request, in any case, with and without hyphen.
#[tokio::test]
async fn code_works_only_on_the_device_that_asked() {
    let (smtp, server) = start().await;
    let handle = request(&server, ADA).await;
    let (_, code) = secrets(&mail(&smtp, 1).await);
    let foreign = request(&server, "bob@example.test").await;

    let elsewhere = reset_by_code(&server, &foreign, &code, NEW_PASSWORD).await;
    elsewhere.expect_error(400, "INVALID_RESET_TOKEN");
    let typed = code.replace('-', " ").to_lowercase();
    reset_by_code(&server, &handle, &typed, NEW_PASSWORD).await.expect_status(204);

    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
    let again = reset_by_code(&server, &handle, &code, OTHER_PASSWORD).await;
    again.expect_error(400, "INVALID_RESET_TOKEN");
}

/// Five wrong codes stop all codes of the account for half an hour, even those of newer mails.
/// Links still work.
#[tokio::test]
async fn wrong_codes_stop_codes_but_not_the_link() {
    let (smtp, server) = start().await;
    let handle = request(&server, ADA).await;
    let guesses = (0..20).map(|n| {
        let guess = format!("0000-00{n:02}");
        let (server, handle) = (&server, &handle);
        async move { reset_by_code(server, handle, &guess, NEW_PASSWORD).await }
    });
    for refused in join_all(guesses).await {
        refused.expect_error(400, "INVALID_RESET_TOKEN");
    }
    let (_, code) = secrets(&mail(&smtp, 1).await);
    let stopped = reset_by_code(&server, &handle, &code, NEW_PASSWORD).await;
    stopped.expect_error(400, "INVALID_RESET_TOKEN");
    let newer = request(&server, ADA).await;
    let (link, code) = secrets(&mail(&smtp, 2).await);
    let stopped = reset_by_code(&server, &newer, &code, NEW_PASSWORD).await;
    stopped.expect_error(400, "INVALID_RESET_TOKEN");

    reset(&server, token_of(&link), NEW_PASSWORD).await.expect_status(204);

    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
}

/// RS-01: a newer mail, a change of the password, and the expiry void link and code.
#[tokio::test]
async fn link_and_code_become_void() {
    let (smtp, server) = start().await;
    let first = request(&server, ADA).await;
    let older = secrets(&mail(&smtp, 1).await);
    server.advance_seconds(1);
    let second = request(&server, ADA).await;
    let newer = secrets(&mail(&smtp, 2).await);
    let expect_void = async |handle: &str, (link, code): &(String, String)| {
        let by_link = reset(&server, token_of(link), NEW_PASSWORD).await;
        by_link.expect_error(400, "INVALID_RESET_TOKEN");
        let by_code = reset_by_code(&server, handle, code, NEW_PASSWORD).await;
        by_code.expect_error(400, "INVALID_RESET_TOKEN");
    };

    expect_void(&first, &older).await;
    expect_void(&second, &older).await;
    let token = server.reset_token(ADA).await;
    reset(&server, &token, OTHER_PASSWORD).await.expect_status(204);
    expect_void(&second, &newer).await;

    let third = request(&server, ADA).await;
    mail(&smtp, 4).await;
    // The notice about the changed password may arrive later than the last link.
    let mails = smtp.mails();
    let last = mails.iter().rfind(|mail| mail.text().contains("token=")).unwrap();
    let expiring = secrets(last);
    server.advance_seconds(30 * 60 + 5);
    expect_void(&third, &expiring).await;
    server.log_in(ADA, OTHER_PASSWORD).await.expect_status(200);
}

/// AT-03, AT-05: of many concurrent uses of the link and the code, on two instances, one succeeds.
#[tokio::test]
async fn one_of_many_concurrent_uses_succeeds() {
    let (smtp, server) = start().await;
    let other = server.another_instance().await;
    let handle = request(&server, ADA).await;
    let (link, code) = secrets(&mail(&smtp, 1).await);

    let uses = (0..50).map(|n| {
        let (link, code, handle) = (&link, &code, &handle);
        let server = if n % 2 == 0 { &server } else { &other };
        async move {
            let password = format!("Difference-Engine-{n}");
            let answer = match n % 5 {
                0 => reset_by_code(server, handle, code, &password).await,
                _ => reset(server, token_of(link), &password).await,
            };
            (answer.status, password)
        }
    });
    let answers = join_all(uses).await;

    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 204).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    server.log_in(ADA, &won[0].1).await.expect_status(200);
    assert_eq!(server.database.count("auth_event WHERE type = 'password_reset'").await, 1);
}

/// EN-03, EN-06, RS-07: the response does not say whether there is an enabled account, and the
/// request writes as many rows. Only a mail to the stored address is sent.
#[tokio::test]
async fn response_does_not_depend_on_the_account() {
    let (smtp, server) = start().await;
    let shape = |answer: &Answer| {
        answer.expect_status(202);
        let body = answer.json();
        let handle = body["handle"].as_str().unwrap().len();
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        (handle, body["expires_in"].clone(), headers)
    };

    let known = send_request(&server, "ADA@example.test").await;
    let unknown = send_request(&server, "bob@example.test").await;

    assert_eq!(shape(&known), shape(&unknown));
    eventually("both are done", async || server.database.count("outbox").await == 0).await;
    assert_eq!(smtp.mails().len(), 1);
    assert_eq!(smtp.mails()[0].to, ADA);
    assert_eq!(server.database.count("email_challenge").await, 2);
    let requested = "auth_event WHERE type = 'password_reset_requested'";
    assert_eq!(server.database.count(requested).await, 2);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// RS-03: a typed address may fold to the address of another person. The mail goes only to the
/// address as it was stored.
#[tokio::test]
async fn mail_goes_to_the_stored_address_only() {
    let (smtp, server) = start().await;
    for (stored, typed) in [
        ("ff@example.test", "\u{fb00}@example.test"),
        ("strasse@example.test", "straße@example.test"),
        ("\u{130}x@example.test", "i\u{307}x@example.test"),
    ] {
        server.sign_up(stored).await.expect_status(201);
        let number = smtp.mails().len() + 1;
        request(&server, typed).await;
        assert_eq!(mail(&smtp, number).await.to, stored);
    }
    for body in [
        json!({ "email": [ADA, "eve@example.test"] }),
        json!({ "email": format!("{ADA},eve@example.test") }),
        json!({ "email": format!("{ADA}\r\nBcc: eve@example.test") }),
        json!({ "email": ADA, "to": "eve@example.test" }),
    ] {
        let refused = server.post("/api/auth/password/forgotten", &body).await;
        refused.expect_error(400, "VALIDATION_ERROR");
    }
}

/// RS-08: beyond the limit no mail is sent, and the last link stays valid.
#[tokio::test]
async fn flood_of_requests_voids_no_link() {
    let (smtp, server) = start().await;
    for _ in 0..8 {
        request(&server, ADA).await;
    }
    eventually("the outbox is empty", async || server.database.count("outbox").await == 0).await;
    // A newer request voids the mail of the older one. A void mail that is still queued is not
    // sent.
    let mails = smtp.mails();
    assert!((1..=5).contains(&mails.len()), "{}", mails.len());
    let (link, _) = secrets(mails.last().unwrap());

    reset(&server, token_of(&link), NEW_PASSWORD).await.expect_status(204);

    // The notice has a separate limit.
    eventually("the owner is notified", async || smtp.mails().len() == mails.len() + 1).await;
}

/// RS-08: a stranger at one client address, whose requests exceed all limits, does not prevent the
/// mail that the owner requests from another client address. The limits are the same for an address
/// without an account.
#[tokio::test]
async fn stranger_does_not_use_up_the_mails_of_the_owner() {
    let (smtp, server) = start().await;
    for number in 0..9 {
        // All are in the same /64.
        let client = format!("2001:db8::{number}");
        for email in [ADA, "nobody@example.test"] {
            let body = json!({ "email": email });
            let asked = server.post_from(&client, "/api/auth/password/forgotten", &body).await;
            asked.expect_status(202);
        }
        server.advance_seconds(60);
    }
    let dropped = "auth_event WHERE type = 'mail_dropped'";
    assert_eq!(server.database.count(dropped).await, 2);
    eventually("the outbox is empty", async || server.database.count("outbox").await == 0).await;
    let before = smtp.mails().len();
    assert!(before <= 3, "{before}");

    let handle = request(&server, ADA).await;

    let (_, code) = secrets(&mail(&smtp, before + 1).await);
    reset_by_code(&server, &handle, &code, NEW_PASSWORD).await.expect_status(204);
}

/// On the pages: scanners that open the link several times change nothing. The person submits the
/// form, in any browser.
#[tokio::test]
async fn pages_reset_the_password_after_scanners_opened_the_link() {
    let (smtp, server) = start().await;
    let mut browser = Browser::of(&server);
    let login = browser.get("/login").await;
    assert!(login.html().contains("href=\"forgot-password\""), "{}", login.html());
    let page = browser.get("/forgot-password").await;
    let sent = browser.submit("/forgot-password", &page, &[("username", ADA)]).await;
    assert_eq!(sent.location(), format!("{ISSUER}/reset-password"));
    let (link, _) = secrets(&mail(&smtp, 1).await);
    let path = link.strip_prefix(ISSUER).unwrap();
    for _ in 0..3 {
        let mut scanner = Browser::of(&server);
        let opened = scanner.get(path).await;
        opened.expect_status(200);
        assert_eq!(opened.header("referrer-policy"), "no-referrer");
        let head = scanner.request(Method::HEAD, path);
        scanner.send(head).await.expect_status(200);
    }

    let mut elsewhere = Browser::of(&server);
    let page = elsewhere.get(path).await;
    let weak = elsewhere.submit("/reset-password", &page, &[("new_password", "short")]).await;
    weak.expect_status(400);
    let done = elsewhere.submit("/reset-password", &weak, &[("new_password", NEW_PASSWORD)]).await;

    assert_eq!(done.location(), format!("{ISSUER}/reset-password?done=reset"));
    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
    let page = elsewhere.get(path).await;
    let again = elsewhere.submit("/reset-password", &page, &[("new_password", PASSWORD)]).await;
    again.expect_status(400);
    assert!(again.html().contains("no longer valid"), "{}", again.html());
}

/// On the pages, the code works only in the browser in which the mail was requested.
#[tokio::test]
async fn code_works_in_the_browser_that_asked() {
    let (smtp, server) = start().await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/forgot-password").await;
    browser.submit("/forgot-password", &page, &[("username", ADA)]).await.expect_status(303);
    let (_, code) = secrets(&mail(&smtp, 1).await);
    let typed = [("code", code.as_str()), ("new_password", NEW_PASSWORD)];

    let mut elsewhere = Browser::of(&server);
    let page = elsewhere.get("/reset-password").await;
    elsewhere.submit("/reset-password", &page, &typed).await.expect_status(400);
    let page = browser.get("/reset-password").await;
    browser.submit("/reset-password", &page, &typed).await.expect_status(303);

    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
}

/// If mail is off, pages and API say so.
#[tokio::test]
async fn without_mail_nothing_is_offered() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);

    send_request(&server, ADA).await.expect_error(404, "MAIL_OFF");
    let by_code = reset_by_code(&server, "x", "y", NEW_PASSWORD).await;
    by_code.expect_error(404, "MAIL_OFF");
    for page in ["/forgot-password", "/reset-password"] {
        let shown = browser.get(page).await;
        shown.expect_status(404);
        assert!(shown.html().contains("sends no mail"), "{}", shown.html());
    }
    let login = browser.get("/login").await;
    assert!(!login.html().contains("forgot-password"));
    assert_eq!(server.database.count("outbox").await, 0);
}

/// A disabled account gets no mail, and its link becomes void.
#[tokio::test]
async fn disabled_account_cannot_be_reset() {
    let (smtp, server) = start().await;
    request(&server, ADA).await;
    let (link, _) = secrets(&mail(&smtp, 1).await);
    let program = crate::harness::Program::new(&server.database);
    assert!(program.run(&["account", "disable", ADA]).await.status.success());

    reset(&server, token_of(&link), NEW_PASSWORD).await.expect_error(400, "INVALID_RESET_TOKEN");
    request(&server, ADA).await;

    eventually("nothing is sent", async || server.database.count("outbox").await == 0).await;
    assert_eq!(smtp.mails().len(), 1);
}

/// Nothing from which a link or code can be computed is stored.
#[tokio::test]
async fn database_contains_no_link_and_no_code() {
    let smtp = SmtpServer::start().await;
    let address = smtp.address;
    let url = smtp.url();
    let server = TestServer::with(|config| mail_by(config, &url)).await;
    server.sign_up(ADA).await.expect_status(201);
    drop(smtp);
    let handle = request(&server, ADA).await;
    let stored = server.database.dump().await;
    let smtp = SmtpServer::start_at(address, std::time::Duration::ZERO).await;
    eventually("the mail arrives", async || {
        server.advance_seconds(1);
        !smtp.mails().is_empty()
    })
    .await;
    let (link, code) = secrets(&smtp.mails()[0]);

    // Bytes are dumped in hexadecimal.
    let stored = format!("{stored:?}").to_lowercase();
    for secret in [token_of(&link), &code, &code.replace('-', ""), &handle] {
        let digits: Vec<_> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let is_stored =
            stored.contains(&secret.to_lowercase()) || stored.contains(&digits.concat());
        assert!(!is_stored, "{secret}");
    }
}
