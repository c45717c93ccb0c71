//! Verification of the address of a new account: `SIGNET_VERIFY_EMAIL`.

use futures_util::future::{join_all, join3};
use reqwest::Method;
use serde_json::{Value, json};
use signet::config::{Config, VerifyEmail};

use crate::harness::mailed::{mail, secrets, token_of};
use crate::harness::oauth::{Browser, CALLBACK, ISSUER};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, Program, TestDatabase, TestServer, eventually};

const ADA: &str = "ada@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";

fn configure_mail(config: &mut Config, url: &str, verify_email: VerifyEmail) {
    config.mail.mail = url.parse().unwrap();
    config.mail.mail_from = Some("id@example.test".to_owned());
    config.signup.verify_email = verify_email;
}

async fn start(verify_email: VerifyEmail) -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| configure_mail(config, &url, verify_email)).await;
    (smtp, server)
}

/// Signs up where a verified address is required; returns the handle.
async fn sign_up(server: &TestServer, email: &str) -> String {
    let answer = server.sign_up(email).await;
    answer.expect_status(202);
    answer.text("handle")
}

async fn verify(server: &TestServer, token: &str, member: &str, password: &str) -> Answer {
    server.post("/api/auth/email/verify", &json!({ "token": token, member: password })).await
}

async fn verify_by_code(server: &TestServer, handle: &str, code: &str) -> Answer {
    let body = json!({ "handle": handle, "code": code });
    server.post("/api/auth/email/verify/code", &body).await
}

/// Requests another mail.
async fn request(server: &TestServer, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    server.post("/api/auth/email/verify/request", &body).await
}

async fn is_verified(server: &TestServer) -> bool {
    server.database.count("account WHERE email_verified_at IS NOT NULL").await > 0
}

/// Opens a link three times, as mail scanners do.
async fn scan(server: &TestServer, link: &str) {
    let path = link.strip_prefix(ISSUER).unwrap();
    for _ in 0..3 {
        let mut scanner = Browser::of(server);
        let opened = scanner.get(path).await;
        opened.expect_status(200);
        assert_eq!(opened.header("referrer-policy"), "no-referrer");
        let head = scanner.request(Method::HEAD, path);
        scanner.send(head).await.expect_status(200);
    }
}

/// EV-01: without mail, `ask` and `require` are refused at the start.
#[tokio::test]
async fn verification_requires_mail() {
    let database = TestDatabase::create().await;
    for mode in ["ask", "require"] {
        let program = Program::new(&database).with("SIGNET_VERIFY_EMAIL", mode);
        let refusal = program.startup_error().await;
        assert!(refusal.contains("SIGNET_VERIFY_EMAIL needs mail"), "{refusal}");
    }
    let server = TestServer::start().await;
    for (path, body) in [
        ("verify/request", json!({ "email": ADA, "password": PASSWORD })),
        ("verify", json!({ "token": "x", "password": PASSWORD })),
        ("verify/code", json!({ "handle": "x", "code": "y" })),
    ] {
        let refused = server.post(&format!("/api/auth/email/{path}"), &body).await;
        refused.expect_error(404, "MAIL_OFF");
    }
    Browser::of(&server).get("/verify-email").await.expect_status(404);
}

/// EV-01: with `ask`, a sign-up begins a session at once, and a mail is sent. The claim
/// `email_verified` becomes true when the link is used.
#[tokio::test]
async fn ask_logs_in_at_once_and_sends_a_mail() {
    let (smtp, server) = start(VerifyEmail::Ask).await;
    let tokens = server.sign_up(ADA).await.expect_status(201).tokens();
    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], false);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    let (link, _) = secrets(&mail(&smtp, 1).await);
    assert!(link.starts_with(&format!("{ISSUER}/verify-email?token=sgv_")), "{link}");

    let done = verify(&server, token_of(&link), "password", PASSWORD).await;

    done.expect_status(204);
    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], true);
    let refreshed = server.refresh(&tokens.refresh_token).await.expect_status(200).tokens();
    assert_eq!(TestServer::claims(&refreshed.access_token)["email_verified"], true);
    let again = verify(&server, token_of(&link), "password", PASSWORD).await;
    again.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    let events = "auth_event WHERE type = 'email_verified'";
    assert_eq!(server.database.count(events).await, 1);
}

/// EV-03: with `ask`, the response to a sign-up has the handle for the code. Other responses with
/// tokens have none, nor has a sign-up without a mail.
#[tokio::test]
async fn sign_up_that_is_asked_to_verify_gets_the_handle_of_the_code() {
    let (smtp, server) = start(VerifyEmail::Ask).await;
    let signed_up = server.sign_up(ADA).await;
    let tokens = signed_up.expect_status(201).tokens();
    let handle = signed_up.text("verification_handle");
    let (_, code) = secrets(&mail(&smtp, 1).await);
    let foreign = server.sign_up("lovelace@example.test").await.text("verification_handle");
    let elsewhere = verify_by_code(&server, &foreign, &code).await;
    elsewhere.expect_error(400, "INVALID_VERIFICATION_TOKEN");

    verify_by_code(&server, &handle, &code).await.expect_status(204);

    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], true);
    let logged_in = server.log_in("lovelace@example.test", PASSWORD).await;
    let refreshed = server.refresh(&tokens.refresh_token).await;
    let mut config = server.config.clone();
    config.signup.verify_email = VerifyEmail::Off;
    let without = server.another_instance_with(config).await.sign_up("bob@example.test").await;
    let program = Program::new(&server.database)
        .with("SIGNET_MAIL", &smtp.url())
        .with("SIGNET_MAIL_FROM", "id@example.test");
    program.run(&["account", "invite", "eve@example.test"]).await;
    server.advance_seconds(3600);
    let arrived = async || !smtp.mails_to("eve@example.test").is_empty();
    eventually("the invite arrives", arrived).await;
    let text = smtp.mails_to("eve@example.test")[0].text();
    let invite = text.lines().find_map(|line| line.split_once("?invite=")).unwrap().1;
    let body = json!({ "email": "eve@example.test", "password": PASSWORD, "invite": invite });
    let invited = server.post("/api/auth/signup", &body).await;
    invited.expect_status(201);

    for answer in [&logged_in, &refreshed, &without, &invited] {
        assert!(answer.json().get("verification_handle").is_none(), "{answer:?}");
    }
}

/// EV-01: with `require`, a sign-up begins no session. A login with the right password is refused
/// with its own error code, and one with a wrong password is refused as always.
#[tokio::test]
async fn require_refuses_logins_before_the_verification() {
    let (smtp, server) = start(VerifyEmail::Require).await;
    let handle = sign_up(&server, ADA).await;
    assert_eq!(server.database.count("session").await, 0);
    server.sign_up(ADA).await.expect_error(409, "EMAIL_EXISTS");
    server.log_in(ADA, PASSWORD).await.expect_error(403, "EMAIL_NOT_VERIFIED");
    let wrong = server.log_in(ADA, NEW_PASSWORD).await;
    wrong.expect_error(401, "AUTH_FAILED");
    let failures = "SELECT reason FROM auth_event WHERE type = 'login_failed' ORDER BY id";
    let failures: Vec<String> = server.database.column(failures).await;
    assert_eq!(failures, ["email_not_verified", "wrong_password"]);
    let program = Program::new(&server.database).with("SIGNET_VERIFY_EMAIL", "require");
    let why = program.run(&["account", "why", ADA, "--json"]).await;
    let why: Value = serde_json::from_slice(&why.stdout).unwrap();
    assert_eq!(why["next_login"]["outcome"], "email_not_verified");

    let (_, code) = secrets(&mail(&smtp, 1).await);
    verify_by_code(&server, &handle, &code).await.expect_status(204);

    let tokens = server.log_in(ADA, PASSWORD).await.expect_status(200).tokens();
    assert_eq!(TestServer::claims(&tokens.access_token)["email_verified"], true);
}

/// A verification by the operator counts like one by the user.
#[tokio::test]
async fn operator_verifies_an_address() {
    let (_smtp, server) = start(VerifyEmail::Require).await;
    sign_up(&server, ADA).await;

    server.account_command(&["verify-email", ADA]).await;

    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// ID-03, EV-02: an attacker signs up with the address of another person. The owner of the address
/// opens the link and submits the form, which verifies nothing without a password. The owner then
/// sets a new password, and the attacker loses all access.
#[tokio::test]
async fn link_does_not_verify_an_account_of_someone_else() {
    for mode in [VerifyEmail::Ask, VerifyEmail::Require] {
        let (smtp, server) = start(mode).await;
        let attacker = server.sign_up(ADA).await;
        let (link, code) = secrets(&mail(&smtp, 1).await);
        let path = link.strip_prefix(ISSUER).unwrap();
        scan(&server, &link).await;

        let mut owner = Browser::of(&server);
        let page = owner.get(path).await;
        owner.submit("/verify-email", &page, &[]).await.expect_status(400);
        let owners = [("password", "Owners-Own-Password-1815")];
        owner.submit("/verify-email", &page, &owners).await.expect_status(400);
        let code_page = owner.get("/verify-email").await;
        let typed = [("code", code.as_str())];
        owner.submit("/verify-email", &code_page, &typed).await.expect_status(400);
        // A mail that the owner requests does not help the attacker either, because the owner does
        // not know the attacker's password.
        let asked = request(&server, ADA, "Owners-Own-Password-1815").await;
        asked.expect_status(202);
        let by_code = verify_by_code(&server, &asked.text("handle"), &code).await;
        by_code.expect_error(400, "INVALID_VERIFICATION_TOKEN");
        assert!(!is_verified(&server).await);

        let page = owner.get(path).await;
        assert!(page.html().contains("someone else signed up"), "{}", page.html());
        let new = [("new_password", NEW_PASSWORD)];
        let done = owner.submit("/verify-email", &page, &new).await;

        assert_eq!(done.location(), format!("{ISSUER}/reset-password?done=reset"));
        assert!(is_verified(&server).await);
        server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
        server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
        if mode == VerifyEmail::Ask {
            let refreshed = server.refresh(&attacker.tokens().refresh_token).await;
            refreshed.expect_error(401, "INVALID_REFRESH_TOKEN");
        }
        // The link is used up.
        owner.get(path).await.expect_status(400);
    }
}

/// EV-03: the code works only with the handle of the sign-up, in any case, with and without hyphen.
#[tokio::test]
async fn code_works_only_on_the_device_that_signed_up() {
    let (smtp, server) = start(VerifyEmail::Require).await;
    let handle = sign_up(&server, ADA).await;
    let (_, code) = secrets(&mail(&smtp, 1).await);
    let foreign = sign_up(&server, "bob@example.test").await;

    let elsewhere = verify_by_code(&server, &foreign, &code).await;
    elsewhere.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    let typed = code.replace('-', " ").to_lowercase();
    verify_by_code(&server, &handle, &typed).await.expect_status(204);

    let again = verify_by_code(&server, &handle, &code).await;
    again.expect_error(400, "INVALID_VERIFICATION_TOKEN");
}

/// EV-03: five wrong codes stop all codes of the account for half an hour. Links still work.
#[tokio::test]
async fn wrong_codes_stop_codes_but_not_the_link() {
    let (smtp, server) = start(VerifyEmail::Require).await;
    let handle = sign_up(&server, ADA).await;
    let guesses = (0..20).map(|n| {
        let guess = format!("0000-00{n:02}");
        let (server, handle) = (&server, &handle);
        async move { verify_by_code(server, handle, &guess).await }
    });
    for refused in join_all(guesses).await {
        refused.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    }
    let (link, code) = secrets(&mail(&smtp, 1).await);
    let stopped = verify_by_code(&server, &handle, &code).await;
    stopped.expect_error(400, "INVALID_VERIFICATION_TOKEN");

    verify(&server, token_of(&link), "password", PASSWORD).await.expect_status(204);
}

/// EN-07, RS-01: a newer mail, a change of the password or of the address, the expiry, and
/// disabling the account void link and code. All responses are the same.
#[tokio::test]
async fn link_and_code_become_void() {
    let (smtp, server) = start(VerifyEmail::Ask).await;
    let expect_void = async |(link, code): &(String, String), handle: &str| {
        for member in ["password", "new_password"] {
            let refused = verify(&server, token_of(link), member, NEW_PASSWORD).await;
            refused.expect_error(400, "INVALID_VERIFICATION_TOKEN");
        }
        let refused = verify_by_code(&server, handle, code).await;
        refused.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    };
    let request_mail = async |password: &str, number: usize| {
        server.advance_seconds(61);
        let handle = request(&server, ADA, password).await.text("handle");
        let arrived = async || verification_mails(&smtp) >= number;
        eventually("the mail arrives", arrived).await;
        let mails = smtp.mails();
        let last = mails.iter().rfind(|mail| mail.text().contains("token=sgv_")).unwrap();
        (secrets(last), handle)
    };
    let tokens = server.sign_up(ADA).await.tokens();
    let first = secrets(&mail(&smtp, 1).await);

    let (newer, handle) = request_mail(PASSWORD, 2).await;
    expect_void(&first, &handle).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let change = server.request(Method::POST, "/api/auth/password").json(&body);
    Answer::of(change.bearer_auth(&tokens.access_token)).await.expect_status(204);
    expect_void(&newer, &handle).await;

    let (expiring, handle) = request_mail(NEW_PASSWORD, 3).await;
    server.advance_seconds(30 * 60 + 5);
    expect_void(&expiring, &handle).await;

    let (changed, handle) = request_mail(NEW_PASSWORD, 4).await;
    server.account_command(&["set-email", ADA, "lovelace@example.test"]).await;
    expect_void(&changed, &handle).await;
    server.account_command(&["set-email", "lovelace@example.test", ADA]).await;
    expect_void(&changed, &handle).await;

    server.advance_seconds(3600);
    let (disabled, handle) = request_mail(NEW_PASSWORD, 5).await;
    server.account_command(&["disable", ADA]).await;
    expect_void(&disabled, &handle).await;
    server.account_command(&["enable", ADA]).await;
    expect_void(&disabled, &handle).await;
    assert!(!is_verified(&server).await);
}

fn verification_mails(smtp: &SmtpServer) -> usize {
    smtp.mails().iter().filter(|mail| mail.text().contains("token=sgv_")).count()
}

/// AT-05: of 50 concurrent uses of link and code, on two instances, one succeeds, and one event is
/// recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_uses_succeeds() {
    let (smtp, server) = start(VerifyEmail::Require).await;
    let other = server.another_instance().await;
    let handle = sign_up(&server, ADA).await;
    let (link, code) = secrets(&mail(&smtp, 1).await);

    let uses = (0..50).map(|n| {
        let (link, code, handle) = (&link, &code, &handle);
        let server = if n % 2 == 0 { &server } else { &other };
        async move {
            match n % 5 {
                0 => verify_by_code(server, handle, code).await.status,
                1 => verify(server, token_of(link), "new_password", NEW_PASSWORD).await.status,
                _ => verify(server, token_of(link), "password", PASSWORD).await.status,
            }
        }
    });
    let statuses = join_all(uses).await;

    let won = statuses.iter().filter(|status| **status == 204).count();
    assert_eq!(won, 1, "{statuses:?}");
    let events = "auth_event WHERE type = 'email_verified'";
    assert_eq!(server.database.count(events).await, 1);
}

/// AT-03, AT-05, AT-10: of many concurrent new passwords with one link, on two instances, one wins,
/// and only this password is valid. Sessions that were opened meanwhile with the old password have
/// ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_new_passwords_wins() {
    let (smtp, server) = start(VerifyEmail::Ask).await;
    let mut config = server.config.clone();
    config.limits.account_attempts_per_minute = 1_000;
    let other = server.another_instance_with(config).await;
    let first = server.sign_up(ADA).await.tokens();
    let (link, _) = secrets(&mail(&smtp, 1).await);
    server.database.delay_after_inserts_into("session").await;

    let changes = (0..24).map(async |n| {
        let password = format!("Difference-Engine-{n}");
        let server = if n % 2 == 0 { &server } else { &other };
        let answer = verify(server, token_of(&link), "new_password", &password).await;
        (answer.status, password)
    });
    let log_ins = (0..16).map(|_| other.log_in(ADA, PASSWORD));
    let refreshing = other.refresh(&first.refresh_token);
    let (results, log_ins, refreshed) =
        join3(join_all(changes), join_all(log_ins), refreshing).await;

    let won: Vec<_> = results.iter().filter(|(status, _)| *status == 204).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    for tokens in
        log_ins.iter().chain([&refreshed]).filter(|it| it.status == 200).map(Answer::tokens)
    {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = other.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 0);
    server.advance_seconds(61);
    server.log_in(ADA, &won[0].1).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    assert_eq!(server.database.count("auth_event WHERE type = 'password_reset'").await, 1);
}

/// ID-03: when the owner of the address sets a password, the attacker loses everything that was
/// obtained with the account: logins in browsers, tokens of clients, codes, and the link that
/// was to change the address to the attacker's.
#[tokio::test]
async fn new_password_voids_all_that_an_attacker_obtained() {
    let (smtp, server) = start(VerifyEmail::Ask).await;
    let web = server.register_web_client().await;
    let attacker = server.sign_up(ADA).await.tokens();
    let (link, _) = secrets(&mail(&smtp, 1).await);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[("scope", "openid offline_access")]).await;
    let client_tokens = server.redeem(&web, &code).await;
    let unused = browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK)["code"].clone();
    let change = json!({ "email": "eve@example.test", "password": PASSWORD });
    let change =
        server.as_user(Method::POST, "/api/auth/email", &attacker.access_token).json(&change);
    let handle = Answer::of(change).await.text("handle");
    eventually("the mail arrives", async || !smtp.mails_to("eve@example.test").is_empty()).await;
    let (to_change, change_code) = secrets(&smtp.mails_to("eve@example.test")[0]);

    verify(&server, token_of(&link), "new_password", NEW_PASSWORD).await.expect_status(204);

    server.me(&attacker.access_token).await.expect_error(401, "UNAUTHORIZED");
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", &client_tokens.text("refresh_token"))];
    server.token(&web, &fields).await.expect_oauth_error(400, "invalid_grant");
    server.userinfo(&client_tokens.text("access_token")).await.expect_status(401);
    server.redeem(&web, &unused).await.expect_oauth_error(400, "invalid_grant");
    let silent = browser.authorize(&[("prompt", "none")]).await.sent_to(CALLBACK);
    assert_eq!(silent["error"], "login_required");
    let by_link = verify(&server, token_of(&to_change), "password", PASSWORD).await;
    by_link.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    let by_code = verify_by_code(&server, &handle, &change_code).await;
    by_code.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    let owner = server.log_in(ADA, NEW_PASSWORD).await.expect_status(200).tokens();
    assert_eq!(server.me(&owner.access_token).await.json()["email"], ADA);
}

/// The response to a request for another mail does not say whether the password is right or the
/// account exists. Requests are limited: at most five mails an hour go to one address.
#[tokio::test]
async fn request_for_another_mail_reveals_nothing() {
    let (smtp, server) = start(VerifyEmail::Ask).await;
    server.sign_up(ADA).await.expect_status(201);
    mail(&smtp, 1).await;
    let shape = |answer: &Answer| {
        answer.expect_status(202);
        let body = answer.json();
        let handle = body["handle"].as_str().unwrap().len();
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        (handle, body["expires_in"].clone(), headers)
    };

    let right = request(&server, ADA, PASSWORD).await;
    let wrong = request(&server, ADA, NEW_PASSWORD).await;
    let unknown = request(&server, "bob@example.test", PASSWORD).await;

    assert_eq!(shape(&right), shape(&wrong));
    assert_eq!(shape(&right), shape(&unknown));
    mail(&smtp, 2).await;
    for _ in 0..6 {
        server.advance_seconds(61);
        request(&server, ADA, PASSWORD).await.expect_status(202);
    }
    eventually("the outbox is empty", async || server.database.count("outbox").await == 0).await;
    assert!(smtp.mails().len() <= 5, "{}", smtp.mails().len());
    let (link, _) = secrets(smtp.mails().last().unwrap());
    verify(&server, token_of(&link), "password", PASSWORD).await.expect_status(204);
}

/// On the pages, `ask`: the account page says that the address is not verified and sends another
/// mail. In this browser the code verifies the address, and the link needs no password.
#[tokio::test]
async fn account_page_asks_to_verify_the_address() {
    let (smtp, server) = start(VerifyEmail::Ask).await;
    let mut browser = Browser::of(&server);
    let page = browser.get("/signup").await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    let signed_up = browser.submit("/signup", &page, &typed).await;
    assert_eq!(signed_up.location(), format!("{ISSUER}/account"));
    let (older, _) = secrets(&mail(&smtp, 1).await);
    let account = browser.get("/account").await;
    assert!(account.html().contains("Your email address is not verified."), "{}", account.html());

    server.advance_seconds(1);
    let sent = browser.submit("/verify-email", &account, &[("send", "again")]).await;
    assert_eq!(sent.location(), format!("{ISSUER}/verify-email"));
    let (link, code) = secrets(&mail(&smtp, 2).await);
    browser.get(older.strip_prefix(ISSUER).unwrap()).await.expect_status(400);
    scan(&server, &link).await;
    let page = browser.get("/verify-email").await;
    let wrong = browser.submit("/verify-email", &page, &[("code", "0000-0000")]).await;
    wrong.expect_status(400);
    let opened = browser.get(link.strip_prefix(ISSUER).unwrap()).await;
    assert!(!opened.html().contains("type=\"password\""), "{}", opened.html());
    let done = browser.submit("/verify-email", &page, &[("code", &code)]).await;

    assert_eq!(done.location(), format!("{ISSUER}/verify-email?done=verified"));
    browser.get("/verify-email?done=verified").await.expect_status(200);
    let account = browser.get("/account").await;
    assert!(!account.html().contains("not verified"), "{}", account.html());
    let used = browser.submit("/verify-email", &opened, &[]).await;
    used.expect_status(400);
}

/// On the pages, `require`: the authorization request continues after the verification and a login.
/// A form that is sent twice shows the same page.
#[tokio::test]
async fn sign_up_in_a_flow_continues_after_the_verification() {
    let (smtp, server) = start(VerifyEmail::Require).await;
    server.register_web_client().await;
    let mut browser = Browser::of(&server);
    let login = browser.authorize(&[]).await;
    let page = browser.open("/signup", &login).await;
    let typed = [("username", ADA), ("password", PASSWORD)];

    let code_page = browser.submit("/signup", &page, &typed).await;
    code_page.expect_status(200);
    mail(&smtp, 1).await;
    let again = browser.submit("/signup", &page, &typed).await;
    again.expect_status(200);
    assert!(again.html().contains("id=\"code\""), "{}", again.html());
    let refused = browser.submit("/login", &login, &typed).await;
    refused.expect_status(403);
    assert!(refused.html().contains("not verified yet"), "{}", refused.html());
    server.advance_seconds(1);
    let sent = browser.submit("/verify-email", &refused, &[("send", "again")]).await;
    sent.expect_status(200);
    let (_, code) = secrets(&mail(&smtp, 2).await);
    let login = browser.submit("/verify-email", &sent, &[("code", &code)]).await;
    login.expect_status(200);
    let answer = browser.submit("/login", &login, &typed).await;

    assert!(answer.sent_to(CALLBACK).contains_key("code"));
}

/// EV-02: the link needs no password in the browser that signed up. It needs one in any other
/// browser.
#[tokio::test]
async fn link_needs_the_password_in_another_browser() {
    let (smtp, server) = start(VerifyEmail::Require).await;
    for (number, email) in [ADA, "bob@example.test"].into_iter().enumerate() {
        let mut browser = Browser::of(&server);
        let page = browser.get("/signup").await;
        let typed = [("username", email), ("password", PASSWORD)];
        browser.submit("/signup", &page, &typed).await.expect_status(303);
        let (link, _) = secrets(&mail(&smtp, number + 1).await);
        let path = link.strip_prefix(ISSUER).unwrap();
        scan(&server, &link).await;

        let done = if number == 0 {
            let page = browser.get(path).await;
            browser.submit("/verify-email", &page, &[]).await
        } else {
            let mut elsewhere = Browser::of(&server);
            let page = elsewhere.get(path).await;
            elsewhere.submit("/verify-email", &page, &[("password", "x")]).await.expect_status(400);
            elsewhere.submit("/verify-email", &page, &[("password", PASSWORD)]).await
        };

        assert_eq!(done.location(), format!("{ISSUER}/verify-email?done=verified"));
        server.log_in(email, PASSWORD).await.expect_status(200);
    }
}

/// Password guesses with a link are limited like those at a login.
#[tokio::test]
async fn password_guesses_with_a_link_are_limited() {
    let (smtp, server) = start(VerifyEmail::Require).await;
    sign_up(&server, ADA).await;
    let (link, _) = secrets(&mail(&smtp, 1).await);

    let mut statuses = Vec::new();
    for n in 0..12 {
        let guess = format!("Guess-Number-{n}");
        statuses.push(verify(&server, token_of(&link), "password", &guess).await.status);
    }

    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
}
