//! A password is set only with the link or the code of a mail to the owner, whatever is sent before,
//! instead or at the same time: at the API and on the pages.

use futures_util::future::join_all;
use serde_json::{Value, json};
use signet::config::VerifyEmail;

use crate::harness::mailed::{secrets, token_of};
use crate::harness::oauth::{Browser, ISSUER};
use crate::harness::smtp::{Behaviour, SmtpServer};
use crate::harness::{Answer, PASSWORD, TestServer, eventually};

const ADA: &str = "ada@example.test";
const EVE: &str = "eve@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";
const OTHER_PASSWORD: &str = "Difference-Engine-1833";

/// A server that sends mail, and the accounts of Ada and of Eve, who attacks Ada's.
async fn start() -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        config.mail.mail = url.parse().unwrap();
        config.mail.mail_from = Some("id@example.test".to_owned());
        config.mail.mails_per_hour = 50;
        config.mail.mails_per_day = 50;
        config.limits.account_attempts_per_minute = 1_000;
        config.signup.verify_email = VerifyEmail::Ask;
    })
    .await;
    for email in [ADA, EVE] {
        server.sign_up(email).await.expect_status(201);
    }
    (smtp, server)
}

async fn forget(server: &TestServer, email: &str) -> Answer {
    let answer = server.post("/api/auth/password/forgotten", &json!({ "email": email })).await;
    answer.expect_status(202);
    answer
}

/// The link and the code of the mail to `email` whose link begins with `page`.
async fn mailed(smtp: &SmtpServer, email: &str, page: &str) -> (String, String) {
    let begins = format!("{ISSUER}/{page}?token=");
    let find = || smtp.mails_to(email).into_iter().rfind(|mail| mail.text().contains(&begins));
    eventually("the mail arrives", async || find().is_some()).await;
    secrets(&find().unwrap())
}

async fn reset(server: &TestServer, body: &Value) -> Answer {
    server.post("/api/auth/password/reset", body).await
}

async fn reset_by_code(server: &TestServer, handle: &str, code: &str) -> Answer {
    let body = json!({ "handle": handle, "code": code, "new_password": NEW_PASSWORD });
    server.post("/api/auth/password/reset/code", &body).await
}

/// RS-02: at the API, no step can be skipped, replayed, or done with what another step, another
/// account or another purpose needs.
#[tokio::test]
async fn no_request_to_the_api_sets_a_password_without_the_mail() {
    let (smtp, server) = start().await;
    let tokens = server.log_in(EVE, PASSWORD).await.tokens();
    let handle = forget(&server, ADA).await.text("handle");
    let eves = forget(&server, EVE).await.text("handle");
    let (eves_link, eves_code) = mailed(&smtp, EVE, "reset-password").await;
    let (to_verify, verification_code) = mailed(&smtp, EVE, "verify-email").await;
    let (link, code) = mailed(&smtp, ADA, "reset-password").await;

    for token in [
        "",
        "sgp_",
        &handle,
        &tokens.refresh_token,
        token_of(&to_verify),
        &code,
        &tokens.access_token[..200],
    ] {
        let body = json!({ "token": token, "new_password": NEW_PASSWORD });
        reset(&server, &body).await.expect_error(400, "INVALID_RESET_TOKEN");
    }
    for body in [
        json!({ "new_password": NEW_PASSWORD }),
        json!({ "token": null, "new_password": NEW_PASSWORD }),
        json!({ "token": [token_of(&eves_link)], "new_password": NEW_PASSWORD }),
        json!({ "token": token_of(&eves_link), "email": ADA, "new_password": NEW_PASSWORD }),
        json!({ "handle": handle, "new_password": NEW_PASSWORD }),
    ] {
        reset(&server, &body).await.expect_error(400, "VALIDATION_ERROR");
    }
    for (handle, code) in [
        ("", ""),
        ("", code.as_str()),
        (&handle, ""),
        (&handle, &eves_code),
        (&handle, &verification_code),
        (&eves, &code),
        (token_of(&link), &code),
    ] {
        reset_by_code(&server, handle, code).await.expect_error(400, "INVALID_RESET_TOKEN");
    }
    // A reset link does not verify an email address. The reverse was tried above.
    let body = json!({ "token": token_of(&link), "new_password": NEW_PASSWORD });
    let verified = server.post("/api/auth/email/verify", &body).await;
    verified.expect_error(400, "INVALID_VERIFICATION_TOKEN");

    for email in [ADA, EVE] {
        server.log_in(email, PASSWORD).await.expect_status(200);
    }
    reset_by_code(&server, &handle, &code).await.expect_status(204);
    // Replayed.
    reset_by_code(&server, &handle, &code).await.expect_error(400, "INVALID_RESET_TOKEN");
    let body = json!({ "token": token_of(&link), "new_password": OTHER_PASSWORD });
    reset(&server, &body).await.expect_error(400, "INVALID_RESET_TOKEN");
    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
}

async fn submit(browser: &mut Browser<'_>, page: &Answer, fields: &[(&str, &str)]) -> Answer {
    let fields = [fields, &[("new_password", NEW_PASSWORD)]].concat();
    browser.submit("/reset-password", page, &fields).await
}

/// RS-02: on the pages, a form without the code, with the code of another mail, or in a browser that
/// did not ask, sets no password. Nor does a page that reports a success.
#[tokio::test]
async fn no_order_of_the_pages_sets_a_password_without_the_mail() {
    let (smtp, server) = start().await;
    let (mut adas, mut eves) = (Browser::of(&server), Browser::of(&server));
    // The last steps without the first one.
    let page = eves.get("/reset-password").await;
    for fields in [vec![], vec![("code", "")], vec![("code", "0000-0000")], vec![("token", "")]] {
        submit(&mut eves, &page, &fields).await.expect_status(400);
    }
    eves.get("/reset-password?done=reset").await;
    // Without the code of the mail that was asked for.
    let mut asking = Browser::of(&server);
    let page = asking.get("/forgot-password").await;
    asking.submit("/forgot-password", &page, &[("username", ADA)]).await.expect_status(303);
    let page = asking.get("/reset-password").await;
    for fields in [vec![], vec![("code", "")], vec![("code", "0000-0000")], vec![("token", "")]] {
        submit(&mut asking, &page, &fields).await.expect_status(400);
    }
    // Eve asks for Ada's account, and then for her own, in the same browser.
    for email in [ADA, EVE] {
        let page = eves.get("/forgot-password").await;
        eves.submit("/forgot-password", &page, &[("username", email)]).await.expect_status(303);
    }
    let (eves_link, eves_code) = mailed(&smtp, EVE, "reset-password").await;
    server.advance_seconds(1);
    let page = adas.get("/forgot-password").await;
    adas.submit("/forgot-password", &page, &[("username", ADA)]).await.expect_status(303);
    eventually("both mails to Ada are sent", async || server.database.count("outbox").await == 0)
        .await;
    let (link, code) = mailed(&smtp, ADA, "reset-password").await;

    // Ada's code in Eve's browser, Ada's form in Eve's browser, and Eve's code in Ada's browser.
    let page = eves.get("/reset-password").await;
    submit(&mut eves, &page, &[("code", &code)]).await.expect_status(400);
    let adas_page = adas.get("/reset-password").await;
    submit(&mut eves, &adas_page, &[("code", &code)]).await.expect_status(400);
    submit(&mut adas, &adas_page, &[("code", &eves_code)]).await.expect_status(400);
    // A page of Eve's link whose form carries a part of Ada's.
    let page = eves.get(eves_link.strip_prefix(ISSUER).unwrap()).await;
    let mixed = submit(&mut eves, &page, &[("username", ADA), ("email", ADA)]).await;
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    assert!([303, 400].contains(&mixed.status), "{mixed:?}");

    // RS-06: the reset logs nobody in.
    let page = adas.get(link.strip_prefix(ISSUER).unwrap()).await;
    submit(&mut adas, &page, &[]).await.expect_status(303);
    assert!(adas.get("/account").await.location().contains("/login"));
    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
}

/// AT-03, AT-05: of many concurrent forms with the same link, in several browsers and at two
/// instances, one sets the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_forms_sets_the_password() {
    let (smtp, server) = start().await;
    let other = server.another_instance().await;
    forget(&server, ADA).await;
    let (link, _) = mailed(&smtp, ADA, "reset-password").await;
    let path = link.strip_prefix(ISSUER).unwrap();

    let forms = (0..24).map(async |n| {
        let password = format!("Difference-Engine-{n}");
        let mut browser = Browser::of(if n % 2 == 0 { &server } else { &other });
        let page = browser.get(path).await;
        let typed = [("new_password", password.as_str())];
        let answer = browser.submit("/reset-password", &page, &typed).await;
        (answer.status, password)
    });
    let answers = join_all(forms).await;

    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 303).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    server.log_in(ADA, &won[0].1).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    assert_eq!(server.database.count("auth_event WHERE type = 'password_reset'").await, 1);
}

/// RS-07: any number of requests changes nothing about the account but the newest reset link, and
/// prevents no login.
#[tokio::test]
async fn requests_neither_lock_nor_change_the_account() {
    let (_smtp, server) = start().await;
    let session = server.log_in(ADA, PASSWORD).await.tokens();
    let before = columns(&server).await;

    for _ in 0..30 {
        forget(&server, ADA).await;
    }

    assert_eq!(columns(&server).await, before);
    server.refresh(&session.refresh_token).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// The columns of Ada's account, apart from the expiry of the newest reset link.
async fn columns(server: &TestServer) -> Vec<Option<String>> {
    let mut values = Vec::new();
    for column in [
        "email",
        "email_canonical",
        "password_hash",
        "email_verified_at",
        "disabled_at",
        "last_login_at",
        "session_epoch",
    ] {
        let sql = format!("SELECT CAST({column} AS TEXT) FROM account WHERE email = '{ADA}'");
        values.extend(server.database.column::<Option<String>>(&sql).await);
    }
    values
}

/// RS-08: the response does not depend on whether mail can be sent.
#[tokio::test]
async fn failures_of_mail_are_not_observable() {
    let (smtp, server) = start().await;
    let shape = |answer: &Answer| {
        let body = answer.json();
        let handle = body["handle"].as_str().unwrap().len();
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        (answer.status, handle, body["expires_in"].clone(), headers)
    };
    let sent = forget(&server, ADA).await;
    smtp.set_behaviour("eve@", Behaviour::Refuse("550 no such user"));
    let refused = forget(&server, EVE).await;
    eventually("it is a dead letter", async || {
        server.database.count("outbox WHERE kind = 'dead_mail'").await >= 1
    })
    .await;
    let after_failure = forget(&server, EVE).await;
    drop(smtp);
    let without_server = forget(&server, ADA).await;

    for answer in [&refused, &after_failure, &without_server] {
        assert_eq!(shape(answer), shape(&sent));
    }
}
