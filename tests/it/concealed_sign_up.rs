//! `SIGNET_SIGNUP_REVEALS_EXISTING=false`: a sign-up does not reveal whether its address has an
//! account.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use signet::config::{SignUpMode, VerifyEmail};

use crate::harness::mailed::{mail, secrets, token_of};
use crate::harness::oauth::{Browser, CALLBACK, ISSUER};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, Program, TestDatabase, TestServer, eventually};

/// Has an account with a verified address. All addresses that are compared have the same length.
const ADA: &str = "ada@example.test";
/// Has an account with an unverified address.
const EVE: &str = "eve@example.test";
/// Has a disabled account.
const IDA: &str = "ida@example.test";
/// Has no account.
const BOB: &str = "bob@example.test";

const NEW_PASSWORD: &str = "Difference-Engine-1822";

/// The minimum time of a hash with the cost of [`start`], as in `enumeration`.
const MIN_HASH_TIME: Duration = Duration::from_millis(15);

/// A server that conceals accounts, with the accounts of [`ADA`], [`EVE`] and [`IDA`].
async fn start() -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        config.mail.mail = url.parse().unwrap();
        config.mail.mail_from = Some("id@example.test".to_owned());
        config.passwords.argon2_iterations = 6;
        config.passwords.hash_backlog_seconds = 60;
        config.limits.sign_ups_per_minute = Some(1_000);
        config.signup.signup_reveals_existing = false;
    })
    .await;
    for address in ["Ada@example.test", EVE, IDA] {
        let create = format!(
            "printf '{PASSWORD}' | \"$0\" account create {address} --password-file -{}",
            if address == EVE { "" } else { " --verified" }
        );
        let output = Program::new(&server.database).run_script(&create).await;
        assert!(output.status.success(), "{output:?}");
    }
    server.account_command(&["disable", IDA]).await;
    (smtp, server)
}

fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

/// Signs up; returns the handle.
async fn sign_up(server: &TestServer, email: &str, password: &str) -> String {
    let answer = server.post("/api/auth/signup", &credentials(email, password)).await;
    answer.expect_status(202).text("handle")
}

async fn confirm(server: &TestServer, link: &str, member: &str, password: &str) -> Answer {
    let body = json!({ "token": token_of(link), member: password });
    server.post("/api/auth/email/verify", &body).await
}

async fn confirm_by_code(server: &TestServer, handle: &str, code: &str) -> Answer {
    let body = json!({ "handle": handle, "code": code });
    server.post("/api/auth/email/verify/code", &body).await
}

/// The complete response to a request, without the date, and with a fixed handle and a fixed
/// request id. Other times in it are equal, because tests do not advance the clock between
/// responses that they compare.
async fn raw_response(server: &TestServer, path: &str, body: &Value) -> (u16, Vec<String>, String) {
    let (client, body) = (server.new_client_address(), body.to_string());
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
    let mut text = String::from_utf8(raw.answer.body).unwrap();
    if let Some((_, rest)) = text.split_once("sgh_") {
        let handle = format!("sgh_{}", rest.split('"').next().unwrap());
        text = text.replace(&handle, &"h".repeat(handle.len()));
    }
    (raw.answer.status, raw.header_lines, text)
}

/// The rows that sign-ups wrote, without random values and times, for comparison.
async fn rows(server: &TestServer, email: &str) -> Vec<String> {
    let challenges = format!(
        "SELECT purpose || ' ' || length(device_digest) || ' ' || length(password_hash) || ' ' || \
         coalesce(length(invite_digest), 0) FROM email_challenge WHERE new_email = '{email}'"
    );
    let mut rows: Vec<String> = server.database.column(&challenges).await;
    let mails = format!(
        "SELECT CAST(payload AS TEXT) FROM outbox WHERE CAST(payload AS TEXT) LIKE '%{email}%'"
    );
    let mails: Vec<String> = server.database.column(&mails).await;
    for payload in mails {
        let mut payload: Value = serde_json::from_str(&payload).unwrap();
        payload["account_id"] = json!(null);
        rows.push(payload.to_string().replace(email, "ADDRESS"));
    }
    rows
}

/// EV-04: without mail, the setting is refused at the start.
#[tokio::test]
async fn concealment_requires_mail() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database).with("SIGNET_SIGNUP_REVEALS_EXISTING", "false");
    let refusal = program.startup_error().await;
    assert!(refusal.contains("SIGNET_SIGNUP_REVEALS_EXISTING=false needs mail"), "{refusal}");
}

/// EN-02, EN-04, EN-06: the bytes of the response and the stored rows do not depend on whether the
/// address has an account, or on the account's state. Each sign-up takes the time of a hash, and
/// changes no account.
#[tokio::test]
async fn sign_up_does_not_reveal_accounts() {
    let (smtp, server) = start().await;
    // The mails stay in the outbox.
    drop(smtp);
    let accounts = "SELECT email || coalesce(password_hash, '') FROM account ORDER BY email";
    let before: Vec<String> = server.database.column(accounts).await;
    let events = "SELECT type || outcome || coalesce(reason, '') || length(email_digest) \
                  FROM auth_event WHERE email_digest IS NOT NULL ORDER BY id";

    let mut seen = Vec::new();
    for email in [BOB, ADA, EVE, IDA] {
        let body = credentials(email, NEW_PASSWORD);
        let began = std::time::Instant::now();
        let response = raw_response(&server, "/api/auth/signup", &body).await;
        assert!(began.elapsed() > MIN_HASH_TIME, "{email}: {:?}", began.elapsed());
        seen.push((response, rows(&server, email).await));
    }

    let (response, rows) = &seen[0];
    assert_eq!(response.0, 202, "{response:?}");
    assert_eq!(rows.len(), 2, "{rows:?}");
    for (other, email) in seen[1..].iter().zip([ADA, EVE, IDA]) {
        assert_eq!(*other, seen[0], "{email}");
    }
    let events: Vec<String> = server.database.column(events).await;
    assert_eq!(events, vec![events[0].clone(); 4]);
    assert!(events[0].starts_with("signup_requestedsuccess"), "{events:?}");
    let after: Vec<String> = server.database.column(accounts).await;
    assert_eq!(after, before);
    assert_eq!(server.database.count("session").await, 0);
}

/// EN-01, EN-03, EN-07: after a sign-up, a login with the chosen password, a wrong code, a request
/// for another mail and a forgotten password get the same bytes, whether the address has an account
/// or not.
#[tokio::test]
async fn nothing_after_a_sign_up_reveals_accounts() {
    let (_smtp, server) = start().await;
    let mut seen = Vec::new();
    for email in [BOB, ADA, EVE, IDA] {
        let handle = sign_up(&server, email, NEW_PASSWORD).await;
        let chosen = credentials(email, NEW_PASSWORD);
        let mut responses = Vec::new();
        for (path, body) in [
            ("login", chosen.clone()),
            ("email/verify/request", chosen.clone()),
            ("password/forgotten", json!({ "email": email })),
            ("signup", chosen.clone()),
        ] {
            responses.push(raw_response(&server, &format!("/api/auth/{path}"), &body).await);
        }
        for _ in 0..7 {
            let wrong = json!({ "handle": handle, "code": "0000-0000" });
            responses.push(raw_response(&server, "/api/auth/email/verify/code", &wrong).await);
        }
        seen.push(responses);
    }

    let statuses: Vec<u16> = seen[0].iter().map(|(status, _, _)| *status).collect();
    assert_eq!(statuses[..4], [401, 202, 202, 202]);
    assert_eq!(statuses[4..], [400; 7]);
    for other in &seen[1..] {
        assert_eq!(*other, seen[0]);
    }
}

/// EV-04: a new user confirms the sign-up once, by the code and the handle, or on another device by
/// the link and the chosen password. Only this creates the account, with a verified address.
#[tokio::test]
async fn confirmation_creates_the_account() {
    let (smtp, server) = start().await;
    let accounts = "account WHERE email LIKE '%new.test'";
    for (number, email) in ["Bob@new.test", "joe@new.test"].into_iter().enumerate() {
        let handle = sign_up(&server, email, PASSWORD).await;
        let (link, code) = secrets(&mail(&smtp, number + 1).await);
        assert!(link.starts_with(&format!("{ISSUER}/verify-email?token=sgu_")), "{link}");
        assert_eq!(smtp.mails()[number].to, email);
        let created = i64::try_from(number).unwrap();
        assert_eq!(server.database.count(accounts).await, created);
        server.log_in(email, PASSWORD).await.expect_error(401, "AUTH_FAILED");
        let why = Program::new(&server.database).run(&["account", "why", email]).await;
        assert!(String::from_utf8_lossy(&why.stdout).contains("signup_requested"), "{why:?}");

        if number == 0 {
            confirm_by_code(&server, "sgh_foreign", &code).await.expect_status(400);
            confirm_by_code(&server, &handle, &code).await.expect_status(204);
        } else {
            confirm(&server, &link, "password", NEW_PASSWORD)
                .await
                .expect_error(401, "AUTH_FAILED");
            confirm(&server, &link, "new_password", "short").await.expect_status(400);
            confirm(&server, &link, "password", PASSWORD).await.expect_status(204);
        }

        let tokens = server.log_in(email, PASSWORD).await.expect_status(200).tokens();
        assert_eq!(TestServer::claims(&tokens.access_token)["email_verified"], true);
        for member in ["password", "new_password"] {
            let again = confirm(&server, &link, member, NEW_PASSWORD).await;
            again.expect_error(400, "INVALID_VERIFICATION_TOKEN");
        }
        let again = confirm_by_code(&server, &handle, &code).await;
        again.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    }
    let events = "SELECT type FROM auth_event WHERE type IN ('signup', 'email_verified') AND \
                  account_id IN (SELECT id FROM account WHERE email LIKE '%new.test') ORDER BY id";
    let events: Vec<String> = server.database.column(events).await;
    assert_eq!(events, ["signup", "email_verified", "signup", "email_verified"]);
    assert_eq!(server.database.count("email_challenge").await, 0);
}

/// ID-03, EV-04: an attacker signs up with the address of another person, before and after this
/// person does. The owner's sign-up creates the account with the owner's password. The attacker's
/// password never works, and the owner's code does not work with the attacker's handles.
#[tokio::test]
async fn attacker_can_neither_reserve_an_address_nor_choose_its_password() {
    let (smtp, server) = start().await;
    let mut attacker_handles = vec![sign_up(&server, BOB, NEW_PASSWORD).await];
    mail(&smtp, 1).await;
    let handle = sign_up(&server, BOB, PASSWORD).await;
    let (_, code) = secrets(&mail(&smtp, 2).await);
    attacker_handles.push(sign_up(&server, BOB, NEW_PASSWORD).await);
    let (attacker_link, attacker_code) = secrets(&mail(&smtp, 3).await);
    for attacker_handle in &attacker_handles {
        confirm_by_code(&server, attacker_handle, &code).await.expect_status(400);
    }

    confirm_by_code(&server, &handle, &code).await.expect_status(204);

    server.log_in(BOB, PASSWORD).await.expect_status(200);
    server.log_in(BOB, NEW_PASSWORD).await.expect_error(401, "AUTH_FAILED");
    // Even the mail of the attacker's own sign-up is void.
    for attacker_handle in &attacker_handles {
        confirm_by_code(&server, attacker_handle, &attacker_code).await.expect_status(400);
    }
    for member in ["password", "new_password"] {
        let late = confirm(&server, &attacker_link, member, NEW_PASSWORD).await;
        late.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    }
    server.log_in(BOB, NEW_PASSWORD).await.expect_error(401, "AUTH_FAILED");
}

/// ID-03, EV-02: the owner of the mailbox opens the link of an attacker's sign-up. Opening it
/// changes nothing, because mail scanners do so, too. The owner sets a new password, which creates
/// the account.
#[tokio::test]
async fn link_of_a_foreign_sign_up_needs_a_password() {
    let (smtp, server) = start().await;
    let handle = sign_up(&server, BOB, NEW_PASSWORD).await;
    let (link, code) = secrets(&mail(&smtp, 1).await);
    let path = link.strip_prefix(ISSUER).unwrap();
    let mut owner = Browser::of(&server);
    for _ in 0..3 {
        owner.get(path).await.expect_status(200);
    }
    let page = owner.get(path).await;
    owner.submit("/verify-email", &page, &[]).await.expect_status(400);
    owner.submit("/verify-email", &page, &[("password", PASSWORD)]).await.expect_status(400);
    let code_page = owner.get("/verify-email").await;
    owner.submit("/verify-email", &code_page, &[("code", &code)]).await.expect_status(400);
    assert_eq!(server.database.count("account").await, 3);
    assert!(page.html().contains("someone else signed up"), "{}", page.html());

    let done = owner.submit("/verify-email", &page, &[("new_password", PASSWORD)]).await;

    assert_eq!(done.location(), format!("{ISSUER}/verify-email?done=created"));
    let done = owner.get("/verify-email?done=created").await;
    assert!(done.html().contains("Your account is ready"), "{}", done.html());
    server.log_in(BOB, PASSWORD).await.expect_status(200);
    server.log_in(BOB, NEW_PASSWORD).await.expect_error(401, "AUTH_FAILED");
    confirm_by_code(&server, &handle, &code).await.expect_status(400);
}

/// EN-05, RS-03, RS-08: the owner of an account gets a notice with the pages for a login and for a
/// forgotten password: at the address as the account spells it, in the language of the account, and
/// at most five times an hour. A disabled account gets none.
#[tokio::test]
async fn owner_of_an_account_is_notified() {
    let (smtp, server) = start().await;
    let tokens = server.log_in(ADA, PASSWORD).await.tokens();
    for email in ["ADA@example.test", IDA] {
        sign_up(&server, email, NEW_PASSWORD).await;
    }
    let notice = mail(&smtp, 1).await;
    assert_eq!(notice.to, "Ada@example.test");
    let text = notice.text();
    assert!(text.contains("tried to sign up"), "{text}");
    for path in ["/login", "/forgot-password"] {
        assert!(text.contains(&format!("{ISSUER}{path}")), "{text}");
    }
    assert!(!text.contains("token=") && !text.contains("half an hour"), "{text}");

    let german = json!({ "locale": "de" });
    server.patch_me(&tokens.access_token, &german).await.expect_status(200);
    for _ in 0..8 {
        sign_up(&server, ADA, NEW_PASSWORD).await;
    }

    eventually("the outbox is empty", async || server.database.count("outbox").await == 0).await;
    assert_eq!(smtp.mails().len(), 5);
    let text = smtp.mails()[1].text();
    assert!(text.contains("gehört zu Ihrem Konto"), "{text}");
    let dropped = "auth_event WHERE type = 'mail_dropped'";
    assert_eq!(server.database.count(dropped).await, 1);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// AT-05, EV-04: of 50 concurrent sign-ups with a new address on two instances, each gets the same
/// response. Of 50 concurrent confirmations, one creates the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_sign_ups_and_confirmations_create_one_account() {
    let (smtp, server) = start().await;
    let other = server.another_instance().await;
    let sign_ups = (0..50).map(|n| {
        let server = if n % 2 == 0 { &server } else { &other };
        sign_up(server, BOB, PASSWORD)
    });
    let handles = join_all(sign_ups).await;
    eventually("the mails arrive", async || smtp.mails().len() == 5).await;
    let mails: Vec<_> = smtp.mails().iter().map(secrets).collect();
    server.database.delay_before_inserts_into("account").await;

    let confirmations = (0..50).map(|n| {
        let server = if n % 2 == 0 { &server } else { &other };
        let (link, code) = &mails[n % 5];
        let handle = &handles[n];
        async move {
            match n % 4 {
                0 => confirm(server, link, "new_password", NEW_PASSWORD).await.status,
                1 => confirm_by_code(server, handle, code).await.status,
                _ => confirm(server, link, "password", PASSWORD).await.status,
            }
        }
    });
    let statuses = join_all(confirmations).await;

    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    let created = format!("account WHERE email = '{BOB}'");
    assert_eq!(server.database.count(&created).await, 1);
    let events = "auth_event WHERE type = 'email_verified' AND reason IS NULL";
    assert_eq!(server.database.count(events).await, 1);
}

/// The status, the names of the header fields and the text of a page, without random values.
fn without_random_values(page: &Answer, email: &str) -> (u16, Vec<String>, String) {
    let fields = String::from_utf8(page.body.clone()).unwrap();
    let mut html = fields.replace(email, "ADDRESS");
    let fields = fields.split("<input type=\"hidden\" name=\"").skip(1);
    for value in fields.filter_map(|field| field.split('"').nth(2)).filter(|it| !it.is_empty()) {
        html = html.replace(value, &"v".repeat(value.len()));
    }
    let headers = page.headers.keys().map(ToString::to_string).collect();
    (page.status, headers, html)
}

/// Except for random values, the pages after a sign-up do not depend on whether the address has an
/// account: after the form and its repetition, a wrong code, a request for another mail, and a
/// login.
#[tokio::test]
async fn pages_do_not_reveal_accounts() {
    let (_smtp, server) = start().await;
    let mut seen = Vec::new();
    for email in [BOB, ADA, EVE, IDA] {
        let mut browser = Browser::of(&server);
        let page = browser.get("/signup").await;
        let typed = [("username", email), ("password", NEW_PASSWORD)];
        let first = browser.submit("/signup", &page, &typed).await;
        assert_eq!(first.location(), format!("{ISSUER}/verify-email"));
        let again = browser.submit("/signup", &page, &typed).await;
        let code_page = browser.get("/verify-email").await;
        assert!(code_page.html().contains("the mail says so"), "{}", code_page.html());
        let wrong = browser.submit("/verify-email", &code_page, &[("code", "0000-0000")]).await;
        wrong.expect_status(400);
        let sent = browser.submit("/verify-email", &code_page, &[("send", "again")]).await;
        assert_eq!(sent.location(), format!("{ISSUER}/verify-email"));
        let login = browser.get("/login").await;
        let refused = browser.submit("/login", &login, &typed).await;
        refused.expect_status(400);
        assert!(refused.html().contains("first confirm the sign-up"), "{}", refused.html());
        let pages = [&first, &again, &code_page, &wrong, &sent, &refused];
        seen.push(pages.map(|page| without_random_values(page, email)));
    }
    for other in &seen[1..] {
        for (page, expected) in other.iter().zip(&seen[0]) {
            assert_eq!(page, expected);
        }
    }
}

/// On the pages: the newest code works in the browser that signed up, even after a sign-up in a
/// second tab and a request for another mail. The session begins, and the authorization request
/// continues.
#[tokio::test]
async fn session_begins_after_the_confirmation_in_the_browser() {
    let (smtp, server) = start().await;
    server.register_web_client().await;
    let mut browser = Browser::of(&server);
    let tabs = [browser.get("/signup").await, browser.get("/signup").await];
    let typed = [("username", BOB), ("password", PASSWORD)];
    for (number, page) in tabs.iter().enumerate() {
        browser.submit("/signup", page, &typed).await.expect_status(303);
        mail(&smtp, number + 1).await;
        server.advance_seconds(1);
    }
    let code_page = browser.get("/verify-email").await;
    browser.submit("/verify-email", &code_page, &[("send", "again")]).await.expect_status(303);
    let (_, code) = secrets(&mail(&smtp, 3).await);
    let (void, _) = secrets(&smtp.mails()[1]);
    browser.get(void.strip_prefix(ISSUER).unwrap()).await.expect_status(400);

    let done = browser.submit("/verify-email", &code_page, &[("code", &code)]).await;

    assert_eq!(done.location(), format!("{ISSUER}/account"));
    let account = browser.get("/account").await;
    account.expect_status(200);
    assert!(account.html().contains(BOB), "{}", account.html());

    // The link, in the browser that signed up and with the password in another one.
    for (number, email) in ["joe@example.test", "kim@example.test"].into_iter().enumerate() {
        let mut signing_up = Browser::of(&server);
        let page = signing_up.get("/signup").await;
        let typed = [("username", email), ("password", PASSWORD)];
        signing_up.submit("/signup", &page, &typed).await.expect_status(303);
        let (link, _) = secrets(&mail(&smtp, number + 4).await);
        let path = link.strip_prefix(ISSUER).unwrap();
        let mut elsewhere = Browser::of(&server);
        let (browser, typed) = match number {
            0 => (&mut signing_up, vec![]),
            _ => (&mut elsewhere, vec![("password", PASSWORD)]),
        };
        let page = browser.get(path).await;
        assert_eq!(page.html().contains("type=\"password\""), number == 1, "{}", page.html());
        let done = browser.submit("/verify-email", &page, &typed).await;
        assert_eq!(done.location(), format!("{ISSUER}/account"));
        browser.get("/account").await.expect_status(200);
    }

    let mut browser = Browser::of(&server);
    let login = browser.authorize(&[]).await;
    let page = browser.open("/signup", &login).await;
    let typed = [("username", "lea@example.test"), ("password", PASSWORD)];
    let code_page = browser.submit("/signup", &page, &typed).await;
    code_page.expect_status(200);
    let (_, code) = secrets(&mail(&smtp, 6).await);
    let answer = browser.submit("/verify-email", &code_page, &[("code", &code)]).await;
    assert!(answer.sent_to(CALLBACK).contains_key("code"));
}

/// RS-01, EV-03: a sign-up expires after half an hour, and its row is deleted. Five wrong codes
/// stop its codes, but not the link. An account that was created meanwhile is not changed.
#[tokio::test]
async fn sign_ups_expire_and_limit_wrong_codes() {
    let (smtp, server) = start().await;
    let handle = sign_up(&server, BOB, PASSWORD).await;
    let (link, code) = secrets(&mail(&smtp, 1).await);
    for n in 0..5 {
        let wrong = confirm_by_code(&server, &handle, &format!("0000-000{n}")).await;
        wrong.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    }
    let stopped = confirm_by_code(&server, &handle, &code).await;
    stopped.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    confirm(&server, &link, "password", PASSWORD).await.expect_status(204);

    let handle = sign_up(&server, "joe@example.test", PASSWORD).await;
    let (expired, code) = secrets(&mail(&smtp, 2).await);
    server.advance_seconds(30 * 60 + 5);
    for member in ["password", "new_password"] {
        let late = confirm(&server, &expired, member, PASSWORD).await;
        late.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    }
    let late = confirm_by_code(&server, &handle, &code).await;
    late.expect_error(400, "INVALID_VERIFICATION_TOKEN");

    let handle = sign_up(&server, "kim@example.test", PASSWORD).await;
    let (link, code) = secrets(&mail(&smtp, 3).await);
    server.account_command(&["create", "kim@example.test"]).await;
    for member in ["password", "new_password"] {
        let taken = confirm(&server, &link, member, PASSWORD).await;
        taken.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    }
    let taken = confirm_by_code(&server, &handle, &code).await;
    taken.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    let untouched = "account WHERE email = 'kim@example.test' AND password_hash IS NULL";
    assert_eq!(server.database.count(untouched).await, 1);

    let server = server.restart().await;
    eventually("expired sign-ups are deleted", async || {
        server.advance_seconds(60);
        server.database.count("email_challenge WHERE new_email = 'joe@example.test'").await == 0
    })
    .await;
}

/// SU-03, EN-02: an invite that was mailed proves control of the address, so the sign-up gets 201.
/// A printed one does not: the response does not reveal an account, and the confirmation by mail
/// uses up the invite. Refusals that do not depend on accounts are as without concealment.
#[tokio::test]
async fn invites_and_refusals_work_with_concealment() {
    let (smtp, open) = start().await;
    let mut config = open.config.clone();
    config.signup.signup = SignUpMode::Invite;
    let server = open.another_instance_with(config).await;
    let invite = async |email: &str| {
        let printed = server.account_command(&["invite", email, "--print"]).await;
        printed.trim().split_once("invite=").unwrap().1.to_owned()
    };
    let with_invite = async |email: &str, token: &str| {
        let body = json!({ "email": email, "password": PASSWORD, "invite": token });
        server.post("/api/auth/signup", &body).await
    };
    let mailed = Program::new(&server.database)
        .with("SIGNET_MAIL", &smtp.url())
        .with("SIGNET_MAIL_FROM", "id@example.test");
    let mailed = mailed.run(&["account", "invite", "joe@example.test"]).await;
    assert!(mailed.status.success(), "{mailed:?}");
    // The command uses the real clock.
    server.advance_seconds(3600);
    let text = mail(&smtp, 1).await.text();
    let token = text.lines().find_map(|line| line.split_once("?invite=")).unwrap().1.to_owned();
    let tokens = with_invite("joe@example.test", &token).await.expect_status(201).tokens();
    assert_eq!(TestServer::claims(&tokens.access_token)["email_verified"], true);

    let (bobs, amys) = (invite(BOB).await, invite("amy@example.test").await);
    let create = ["create", "amy@example.test"];
    server.account_command(&create).await;
    with_invite(BOB, "sgi_unknown").await.expect_error(400, "INVALID_INVITE");
    with_invite(BOB, &amys).await.expect_error(400, "INVALID_INVITE");
    server.sign_up(BOB).await.expect_error(403, "SIGNUP_CLOSED");
    let handle = with_invite(BOB, &bobs).await.expect_status(202).text("handle");
    let (_, code) = secrets(&mail(&smtp, 2).await);
    with_invite("amy@example.test", &amys).await.expect_status(202);
    assert!(mail(&smtp, 3).await.text().contains("belongs to your account"));
    assert_eq!(server.database.count("invite").await, 2);

    confirm_by_code(&server, &handle, &code).await.expect_status(204);

    assert_eq!(server.database.count("invite").await, 1);
    with_invite(BOB, &bobs).await.expect_error(400, "INVALID_INVITE");
    let reason = "SELECT reason FROM auth_event WHERE type = 'signup' ORDER BY id DESC LIMIT 1";
    let reason: Vec<String> = server.database.column(reason).await;
    assert!(reason[0].starts_with("invite "), "{reason:?}");
    let tokens = server.log_in(BOB, PASSWORD).await.expect_status(200).tokens();
    assert_eq!(TestServer::claims(&tokens.access_token)["email_verified"], true);

    for (mode, domains, code) in [
        (SignUpMode::Closed, vec![], "SIGNUP_CLOSED"),
        (SignUpMode::Open, vec!["other.test".to_owned()], "SIGNUP_DOMAIN_NOT_ALLOWED"),
    ] {
        let mut config = open.config.clone();
        config.signup.signup = mode;
        config.signup.signup_domains = domains;
        let refusing = open.another_instance_with(config).await;
        for email in ["amy@example.test", "new@example.test"] {
            refusing.sign_up(email).await.expect_error(403, code);
        }
    }
    let weak = credentials(ADA, "short");
    open.post("/api/auth/signup", &weak).await.expect_error(400, "VALIDATION_ERROR");
}

/// SU-03: a mailed invite does not prove control of another address with the same folded form, so a
/// sign-up with that address is confirmed by mail.
#[tokio::test]
async fn mailed_invite_does_not_prove_control_of_another_mailbox() {
    let (smtp, server) = start().await;
    let program = Program::new(&server.database)
        .with("SIGNET_MAIL", &smtp.url())
        .with("SIGNET_MAIL_FROM", "id@example.test");
    let sent = program.run(&["account", "invite", "stra\u{df}e@example.test"]).await;
    assert!(sent.status.success(), "{sent:?}");
    // The command uses the real clock.
    server.advance_seconds(3600);
    let text = mail(&smtp, 1).await.text();
    let token = text.lines().find_map(|line| line.split_once("?invite=")).unwrap().1;
    let email = "strasse@example.test";
    let body = json!({ "email": email, "password": PASSWORD, "invite": token });

    let handle = server.post("/api/auth/signup", &body).await.expect_status(202).text("handle");

    let created = "account WHERE email_canonical = 'strasse@example.test'";
    assert_eq!(server.database.count(created).await, 0);
    let sent = mail(&smtp, 2).await;
    assert_eq!(sent.to, email);
    confirm_by_code(&server, &handle, &secrets(&sent).1).await.expect_status(204);
    assert_eq!(server.database.count(created).await, 1);
    assert_eq!(server.database.count("invite").await, 0);
}

/// The revocation of an invite voids the pending sign-up that used it.
#[tokio::test]
async fn revoked_invite_voids_a_pending_sign_up() {
    let (smtp, server) = start().await;
    let printed = server.account_command(&["invite", BOB, "--print"]).await;
    let token = printed.trim().split_once("invite=").unwrap().1;
    let body = json!({ "email": BOB, "password": PASSWORD, "invite": token });
    let requested = server.post("/api/auth/signup", &body).await;
    let (_, code) = secrets(&mail(&smtp, 1).await);
    Program::new(&server.database).run(&["invite", "revoke", BOB]).await;

    let refused = confirm_by_code(&server, &requested.text("handle"), &code).await;

    refused.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    assert_eq!(server.database.count("account").await, 3);
}

/// EV-01: `SIGNET_VERIFY_EMAIL` still decides whether accounts with an unverified address can log
/// in. With `require`, the right password gets 403; otherwise the login succeeds.
#[tokio::test]
async fn logins_of_unverified_accounts_depend_on_the_setting() {
    let (_smtp, server) = start().await;
    server.log_in(EVE, PASSWORD).await.expect_status(200);
    for policy in [VerifyEmail::Ask, VerifyEmail::Require] {
        let mut config = server.config.clone();
        config.signup.verify_email = policy;
        let server = server.another_instance_with(config).await;
        let email = format!("{policy:?}@example.test");
        server.sign_up(&email).await.expect_status(202);
        server.log_in(&email, PASSWORD).await.expect_error(401, "AUTH_FAILED");
        let logged_in = server.log_in(EVE, PASSWORD).await;
        logged_in.expect_status(if policy == VerifyEmail::Ask { 200 } else { 403 });
    }
    assert_eq!(server.database.count("account").await, 3);
}

/// EN-06: the page after a sign-up does not say whether the address got too many mails, for example
/// because its owner has just asked for a new password.
#[tokio::test]
async fn page_does_not_reveal_the_limit_of_mails() {
    let (smtp, server) = start().await;
    let code_page_of = async |email: &str| {
        let mut browser = Browser::of(&server);
        let page = browser.get("/signup").await;
        let typed = [("username", email), ("password", NEW_PASSWORD)];
        browser.submit("/signup", &page, &typed).await.expect_status(303);
        let page = browser.get("/verify-email").await;
        (page.body.len(), page.html().contains("id=\"send-again\""))
    };
    for _ in 0..6 {
        let forgotten = json!({ "email": ADA });
        let asked = server.post("/api/auth/password/forgotten", &forgotten).await;
        asked.expect_status(202);
    }
    let limited = code_page_of(ADA).await;
    assert_eq!(limited, code_page_of(BOB).await);
    let (_, offers_another_mail) = limited;
    assert!(offers_another_mail);
    eventually("the outbox is empty", async || server.database.count("outbox").await == 0).await;
    assert!(smtp.mails_to("Ada@example.test").iter().all(|mail| mail.text().contains("reset")));
}
