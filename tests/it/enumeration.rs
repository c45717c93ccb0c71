//! Responses do not disclose which accounts exist.

use std::time::Duration;

use serde_json::json;
use signet::config::VerifyEmail;

use crate::harness::mailed::secrets;
use crate::harness::oauth::{Browser, WEB_CLIENT, csrf, flow};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually};

const ADA: &str = "ada@example.test";

/// The complete response to a request with a fixed request id. No part of it is random, and tests
/// do not advance the clock between responses that they compare. Only the value of `date` is
/// removed.
async fn raw_response(server: &TestServer, path: &str, body: &str) -> (u16, Vec<String>, String) {
    let client = server.new_client_address();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: id.example.test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\
         x-forwarded-for: {client}\r\nx-request-id: 019a0000-0000-7000-8000-000000000001\r\n\
         \r\n{body}"
    );
    let mut raw = server.raw(request.as_bytes()).await;
    for line in &mut raw.header_lines {
        if line.to_ascii_lowercase().starts_with("date:") {
            line.truncate("date:".len());
        }
    }
    (raw.answer.status, raw.header_lines, String::from_utf8(raw.answer.body).unwrap())
}

async fn log_in(server: &TestServer, email: &str, password: &str) -> (u16, Vec<String>, String) {
    let body = serde_json::json!({ "email": email, "password": password }).to_string();
    raw_response(server, "/api/auth/login", &body).await
}

/// EN-01: status, header order and body are identical.
#[tokio::test]
async fn rejected_logins_get_identical_responses() {
    let server = TestServer::start().await;
    for account in ["ada", "disabled", "passwordless", "damaged", "verified"] {
        server.sign_up(&format!("{account}@example.test")).await.expect_status(201);
    }
    let change = async |account: &str, change: &str| {
        let sql = format!("UPDATE account SET {change} WHERE email = '{account}@example.test'");
        server.database.execute(&sql).await;
    };
    change("disabled", "disabled_at = 1").await;
    change("passwordless", "password_hash = NULL").await;
    change("damaged", "password_hash = '$argon2id$v=19$m=19456'").await;
    change("verified", "email_verified_at = 1").await;

    let unknown = log_in(&server, "nobody@example.test", PASSWORD).await;

    assert_eq!(unknown.0, 401);
    assert!(unknown.2.contains("\"message\":\"Invalid credentials\""), "{}", unknown.2);
    for (case, email, password) in [
        ("wrong password", ADA, "wrong"),
        ("empty password", ADA, ""),
        ("disabled, right password", "disabled@example.test", PASSWORD),
        ("disabled, wrong password", "disabled@example.test", "wrong"),
        ("without a password", "passwordless@example.test", PASSWORD),
        ("unreadable hash", "damaged@example.test", PASSWORD),
        ("verified, wrong password", "verified@example.test", "wrong"),
        ("unknown, other domain", "somebody.else@bücher.example", PASSWORD),
    ] {
        assert_eq!(log_in(&server, email, password).await, unknown, "{case}");
    }
}

/// EN-07: the response to a rejected refresh token gives no reason.
#[tokio::test]
async fn rejected_refreshes_get_identical_responses() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let bob = server.sign_up("bob@example.test").await.tokens();
    server.log_out(&ada.access_token).await.expect_status(200);
    server
        .database
        .execute("UPDATE account SET disabled_at = 1 WHERE email = 'bob@example.test'")
        .await;
    let refresh = async |token: &str| {
        raw_response(&server, "/api/auth/refresh", &format!(r#"{{"refresh_token":"{token}"}}"#))
            .await
    };

    let forged = refresh("sgr_none").await;

    assert_eq!(forged.0, 401);
    assert_eq!(refresh(&ada.refresh_token).await, forged, "logged out");
    assert_eq!(refresh(&bob.refresh_token).await, forged, "disabled");
    assert_eq!(refresh(&ada.access_token[..200]).await, forged, "an access token");
    assert_eq!(refresh("").await, forged, "an empty token");
}

/// EN-07: a rejected reset does not disclose whether the token was ever valid, or for which
/// account.
#[tokio::test]
async fn rejected_resets_get_identical_responses() {
    let server = TestServer::start().await;
    for email in [ADA, "bob@example.test", "eve@example.test"] {
        server.sign_up(email).await.expect_status(201);
    }
    let reset = async |token: &str| {
        let body = format!(r#"{{"token":"{token}","new_password":"Difference-Engine-1822"}}"#);
        raw_response(&server, "/api/auth/password/reset", &body).await
    };
    let forged = reset("sgp_none").await;
    assert_eq!(forged.0, 400);
    let replaced = server.reset_token(ADA).await;
    let used = server.reset_token(ADA).await;
    let of_a_deleted_account = server.reset_token("bob@example.test").await;
    let expired = server.reset_token("eve@example.test").await;
    assert_eq!(reset(&used).await.0, 204);
    server.account_command(&["delete", "bob@example.test"]).await;
    assert_eq!(reset(&replaced).await, forged, "older");
    assert_eq!(reset(&used).await, forged, "used");
    assert_eq!(reset(&of_a_deleted_account).await, forged, "of a deleted account");
    assert_eq!(reset("").await, forged, "an empty token");

    // The command used the real clock, which has advanced meanwhile.
    server.advance_seconds(30 * 60 + 300);

    // Responses contain the time, so both must be from the same second.
    let forged = reset("sgp_none").await;
    assert_eq!(reset(&expired).await, forged, "expired");
    assert_eq!(reset(&replaced).await, forged, "older, expired");
}

/// A server that sends mail, and asks new users to verify their address.
async fn server_with_mail(smtp: &SmtpServer) -> TestServer {
    let url = smtp.url();
    TestServer::with(|config| {
        config.mail.mail = url.parse().unwrap();
        config.mail.mail_from = Some("id@example.test".to_owned());
        config.signup.verify_email = VerifyEmail::Ask;
    })
    .await
}

/// Waits for `number` mails to this address, and returns the link of the newest.
async fn verification_link(smtp: &SmtpServer, email: &str, number: usize) -> String {
    eventually("the mail arrives", async || smtp.mails_to(email).len() == number).await;
    secrets(smtp.mails_to(email).last().unwrap()).0
}

/// EN-07: a rejected verification does not disclose whether the link was ever valid, or for which
/// account, and a rejected code does not disclose whether the handle was.
#[tokio::test]
async fn rejected_verifications_get_identical_responses() {
    let smtp = SmtpServer::start().await;
    let server = server_with_mail(&smtp).await;
    let mut links = Vec::new();
    for account in ["ada", "bob", "eve", "off"] {
        let email = format!("{account}@example.test");
        server.sign_up(&email).await.expect_status(201);
        links.push(verification_link(&smtp, &email, 1).await);
    }
    let verify = async |member: &str, link: &str| {
        let token = link.split_once("token=").map_or(link, |(_, token)| token);
        let body = json!({ "token": token, member: PASSWORD }).to_string();
        raw_response(&server, "/api/auth/email/verify", &body).await
    };
    let ask = async |email: &str| {
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = server.post("/api/auth/email/verify/request", &body).await;
        answer.expect_status(202);
        answer.text("handle")
    };
    server.advance_seconds(1);
    let handle = ask(ADA).await;
    let used = verification_link(&smtp, ADA, 2).await;
    assert_eq!(verify("password", &used).await.0, 204);
    let disable = "UPDATE account SET disabled_at = 1 WHERE email = 'off@example.test'";
    server.database.execute(disable).await;
    let bob = server.log_in("bob@example.test", PASSWORD).await.tokens();
    server.delete_me(&bob.access_token, PASSWORD).await.expect_status(204);

    for member in ["password", "new_password"] {
        let forged = verify(member, "sgv_none").await;
        assert_eq!(forged.0, 400);
        for (case, link) in [
            ("replaced", &links[0]),
            ("used", &used),
            ("of a deleted account", &links[1]),
            ("of a disabled account", &links[3]),
        ] {
            assert_eq!(verify(member, link).await, forged, "{case}");
        }
    }
    let verify_by_code = async |handle: &str| {
        let body = json!({ "handle": handle, "code": "0000-0000" }).to_string();
        raw_response(&server, "/api/auth/email/verify/code", &body).await
    };
    let of_unknown = ask("nobody@example.test").await;
    let unknown = verify_by_code("sgh_none").await;
    assert_eq!(unknown.0, 400);
    for handle in [handle.as_str(), &of_unknown, ""] {
        assert_eq!(verify_by_code(handle).await, unknown);
    }

    server.advance_seconds(30 * 60 + 5);
    let forged = verify("password", "sgv_none").await;
    assert_eq!(verify("password", &links[2]).await, forged, "expired");
}

/// EN-07: a rejected code of a reset does not disclose whether the handle is for an account, or why
/// the code is rejected.
#[tokio::test]
async fn rejected_reset_codes_get_identical_responses() {
    let smtp = SmtpServer::start().await;
    let server = server_with_mail(&smtp).await;
    server.sign_up(ADA).await.expect_status(201);
    let forget = async |email: &str| {
        let body = json!({ "email": email });
        server.post("/api/auth/password/forgotten", &body).await.text("handle")
    };
    let reset = async |handle: &str| {
        let body = json!({
            "handle": handle,
            "code": "0000-0000",
            "new_password": "Difference-Engine-1822",
        });
        raw_response(&server, "/api/auth/password/reset/code", &body.to_string()).await
    };
    let (known, unknown) = (forget(ADA).await, forget("nobody@example.test").await);

    let never_issued = reset("sgh_none").await;

    assert_eq!(never_issued.0, 400);
    // After five wrong codes, codes are not compared any more.
    for handle in [&known; 7].into_iter().chain([&unknown; 7]) {
        assert_eq!(reset(handle).await, never_issued);
    }
}

/// EN-03: for known and unknown addresses, the pages of a forgotten password are the same after a
/// request for a mail, and after a wrong code.
#[tokio::test]
async fn forgotten_password_page_does_not_distinguish_addresses() {
    let smtp = SmtpServer::start().await;
    let server = server_with_mail(&smtp).await;
    server.sign_up(ADA).await.expect_status(201);
    server.sign_up("off@example.test").await.expect_status(201);
    let disable = "UPDATE account SET disabled_at = 1 WHERE email = 'off@example.test'";
    server.database.execute(disable).await;

    let mut shown = Vec::new();
    for email in [ADA, "off@example.test", "xyz@example.test"] {
        let mut browser = Browser::of(&server);
        let form = browser.get("/forgot-password").await;
        let sent = browser.submit("/forgot-password", &form, &[("username", email)]).await;
        let page = browser.get(&sent.location()).await;
        let typed = [("code", "0000-0000"), ("new_password", "Difference-Engine-1822")];
        let wrong = browser.submit("/reset-password", &page, &typed).await;
        let html = [&page, &wrong].map(|page| page.html().replace(&csrf(page), "?"));
        let cookie = browser.cookie.as_deref().unwrap().split_once('=').unwrap().1;
        let headers = comparable_headers([&sent, &page, &wrong]);
        shown.push((wrong.status, html, headers.map(|text| text.replace(cookie, "?"))));
    }

    assert_eq!([&shown[1], &shown[2]], [&shown[0]; 2]);
}

/// The minimum time of a hash with the cost of the test below. It is a third of the time measured
/// on the machine on which the test was written. A response without a hash takes 3 ms.
const MIN_HASH_TIME: Duration = Duration::from_millis(15);

/// EN-04, MUST-205: each rejected login takes the time of a hash. There is no upper limit, because
/// a busy machine delays responses. `domain/password/hasher/` tests that the work is equal.
#[tokio::test]
async fn rejected_logins_take_the_time_of_a_hash() {
    let server = TestServer::with(|config| config.passwords.argon2_iterations = 6).await;
    for account in ["ada", "disabled", "passwordless", "damaged"] {
        server.sign_up(&format!("{account}@example.test")).await.expect_status(201);
    }
    for (account, change) in [
        ("disabled", "disabled_at = 1"),
        ("passwordless", "password_hash = NULL"),
        ("damaged", "password_hash = '$argon2id$v=19$m=19456'"),
    ] {
        let sql = format!("UPDATE account SET {change} WHERE email = '{account}@example.test'");
        server.database.execute(&sql).await;
    }
    let mut browser = Browser::of(&server);
    let page = browser.get("/login").await;

    for account in ["ada", "nobody", "disabled", "passwordless", "damaged"] {
        let email = format!("{account}@example.test");
        let refused = server.log_in(&email, "wrong").await;
        refused.expect_error(401, "AUTH_FAILED");
        let credentials = [("username", email.as_str()), ("password", "wrong")];
        let on_the_page = browser.submit("/login", &page, &credentials).await;
        on_the_page.expect_status(400);
        let took = [refused.took, on_the_page.took];
        assert!(took.iter().all(|took| *took > MIN_HASH_TIME), "{account}: {took:?}");
    }
}

/// EN-09: the authorization endpoint does not disclose whether the account of a hint exists, and
/// does not distinguish a deleted client from an unknown client.
#[tokio::test]
async fn authorization_endpoint_does_not_disclose_accounts() {
    let server = TestServer::start().await;
    server
        .register_clients(&[WEB_CLIENT, &WEB_CLIENT.replace("\"web\"", "\"gone\"")].concat())
        .await;
    let program = Program::new(&server.database);
    assert!(program.run(&["client", "delete", "gone"]).await.status.success());
    for account in ["ada", "off"] {
        server.sign_up(&format!("{account}@example.test")).await.expect_status(201);
    }
    server.account_command(&["disable", "off@example.test"]).await;
    let mut browser = Browser::of(&server);
    browser.get("/login").await.expect_status(200);

    let mut shown = Vec::new();
    // Addresses of equal length, so that the pages have equal length.
    for email in [ADA, "off@example.test", "xyz@example.test"] {
        let silent = browser.authorize(&[("prompt", "none"), ("login_hint", email)]).await;
        let login_page = browser.authorize(&[("login_hint", email)]).await;
        let html = login_page.expect_login_page().html().replace(email, "?");
        let html = html.replace(&flow(&login_page), "?");
        shown.push((silent.location(), html, comparable_headers([&silent, &login_page])));
    }
    assert_eq!([&shown[1], &shown[2]], [&shown[0]; 2]);

    let mut refused = Vec::new();
    for client in ["gone", "none"] {
        let page = browser.authorize(&[("client_id", client)]).await;
        page.expect_status(400);
        let html = page.html();
        let (before, rest) = html.split_once("<code>").unwrap();
        let (_, after) = rest.split_once("</code>").unwrap();
        refused.push((format!("{before}{after}"), comparable_headers([&page])));
    }
    assert_eq!(refused[0], refused[1]);
}

/// The headers of responses, except those that always differ.
fn comparable_headers<const N: usize>(answers: [&Answer; N]) -> [String; N] {
    answers.map(|answer| {
        let mut headers = answer.headers.clone();
        for varying in ["date", "x-request-id"] {
            headers.remove(varying).unwrap();
        }
        format!("{headers:?}")
    })
}

/// EN-08: the id of a new account discloses neither the number of accounts nor the previous id.
#[tokio::test]
async fn account_ids_are_not_sequential() {
    let server = TestServer::start().await;

    let ids = [server.sign_up(ADA).await, server.sign_up("bob@example.test").await]
        .map(|answer| answer.tokens().user_id);

    let distance = ids[0].as_u128().abs_diff(ids[1].as_u128());
    assert!(distance > u128::from(u32::MAX), "{ids:?}");
}
