//! A change of the address by the owner of an account.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::mailed::{mail, mail_by, secrets, token_of};
use crate::harness::oauth::{Browser, ISSUER, hidden_fields};
use crate::harness::smtp::{Behaviour, SmtpServer};
use crate::harness::{Answer, PASSWORD, Program, TestServer, Tokens, eventually};

const ADA: &str = "ada@example.test";
const NEW: &str = "Lovelace@example.test";
const CANONICAL: &str = "lovelace@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";

/// A server that sends mail, and Ada's account.
async fn start() -> (SmtpServer, TestServer, Tokens) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| mail_by(config, &url)).await;
    let tokens = server.sign_up(ADA).await.expect_status(201).tokens();
    (smtp, server, tokens)
}

async fn change(server: &TestServer, tokens: &Tokens, email: &str, password: &str) -> Answer {
    let request = server.request(Method::POST, "/api/auth/email");
    let request = request.header("x-forwarded-for", server.new_client_address());
    let body = json!({ "email": email, "password": password });
    Answer::of(request.bearer_auth(&tokens.access_token).json(&body)).await
}

/// Requests a change; returns the handle.
async fn request(server: &TestServer, tokens: &Tokens, email: &str) -> String {
    let answer = change(server, tokens, email, PASSWORD).await;
    answer.expect_status(202);
    answer.text("handle")
}

async fn confirm(server: &TestServer, token: &str, member: &str, password: &str) -> Answer {
    server.post("/api/auth/email/verify", &json!({ "token": token, member: password })).await
}

async fn confirm_by_code(server: &TestServer, handle: &str, code: &str) -> Answer {
    let body = json!({ "handle": handle, "code": code });
    server.post("/api/auth/email/verify/code", &body).await
}

/// ID-05: the password is needed. The old address stays until the new one is confirmed, and then
/// gets a notice. The new address is verified. Sessions continue, and reset links that were sent to
/// the old address are void. Mail goes to the spelling that was typed.
#[tokio::test]
async fn new_address_is_used_after_its_confirmation() {
    let (smtp, server, tokens) = start().await;
    change(&server, &tokens, NEW, NEW_PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.post("/api/auth/password/forgotten", &json!({ "email": ADA })).await.expect_status(202);
    let (reset_link, _) = secrets(&mail(&smtp, 1).await);
    let handle = request(&server, &tokens, NEW).await;
    let sent = mail(&smtp, 2).await;
    let (link, code) = secrets(&sent);
    assert_eq!(sent.to, NEW);
    assert!(link.starts_with(&format!("{ISSUER}/verify-email?token=sge_")), "{link}");
    assert!(!sent.text().contains(ADA), "{}", sent.text());
    server.log_in(CANONICAL, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    let me = server.me(&tokens.access_token).await.json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(ADA), &json!(false)));

    confirm_by_code(&server, &handle, &code).await.expect_status(204);

    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.log_in(CANONICAL, PASSWORD).await.expect_status(200);
    let me = server.me(&tokens.access_token).await.json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(CANONICAL), &json!(true)));
    server.refresh(&tokens.refresh_token).await.expect_status(200);
    let notice = mail(&smtp, 3).await;
    assert_eq!(notice.to, ADA);
    assert!(notice.text().contains("was changed"), "{}", notice.text());
    assert!(!notice.text().to_lowercase().contains(CANONICAL), "{}", notice.text());
    let body = json!({ "token": token_of(&reset_link), "new_password": NEW_PASSWORD });
    let reset = server.post("/api/auth/password/reset", &body).await;
    reset.expect_error(400, "INVALID_RESET_TOKEN");
    let spelling: Vec<String> = server.database.column("SELECT email FROM account").await;
    assert_eq!(spelling, [NEW]);
    let events = "SELECT type FROM auth_event WHERE type LIKE 'email%' ORDER BY id";
    let mut events: Vec<String> = server.database.column(events).await;
    events.sort();
    assert_eq!(events, ["email_change_requested", "email_changed", "email_verified"]);
}

/// EV-02: the recipient of the mail may not be the owner of the account. If an attacker enters the
/// address of another person as the new one, the attacker's account gets this address only if the
/// recipient enters the attacker's password.
#[tokio::test]
async fn link_does_not_give_the_address_of_someone_else_to_an_account() {
    let (smtp, server, tokens) = start().await;
    request(&server, &tokens, NEW).await;
    let (link, code) = secrets(&mail(&smtp, 1).await);
    let path = link.strip_prefix(ISSUER).unwrap();
    let mut recipient = Browser::of(&server);
    let page = recipient.get(path).await;
    assert!(!page.html().contains(ADA) && !page.html().contains("new_password"), "{}", page.html());

    for typed in [
        vec![],
        vec![("password", "Recipients-Own-Password-1815")],
        vec![("new_password", NEW_PASSWORD)],
    ] {
        recipient.submit("/verify-email", &page, &typed).await.expect_status(400);
    }
    let code_page = recipient.get("/verify-email").await;
    recipient.submit("/verify-email", &code_page, &[("code", &code)]).await.expect_status(400);
    let by_link = confirm(&server, token_of(&link), "new_password", NEW_PASSWORD).await;
    by_link.expect_error(400, "INVALID_VERIFICATION_TOKEN");

    server.log_in(ADA, PASSWORD).await.expect_status(200);
    confirm(&server, token_of(&link), "password", PASSWORD).await.expect_status(204);
    server.log_in(CANONICAL, PASSWORD).await.expect_status(200);
}

/// EN-03, EN-06: the response for an address that belongs to another account is the same as for a
/// free address, and the request writes as many rows. The owner of the address gets a notice, at
/// the address as the account spells it.
#[tokio::test]
async fn address_of_another_account_is_not_revealed() {
    let (smtp, server, tokens) = start().await;
    server.sign_up("Bob@example.test").await.expect_status(201);
    let shape = |answer: &Answer| {
        answer.expect_status(202);
        let body = answer.json();
        let handle = body["handle"].as_str().unwrap().len();
        let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        (handle, body["expires_in"].clone(), headers)
    };
    let rows = async || {
        let count = async |what| server.database.count(what).await;
        let events = count("auth_event WHERE type = 'email_change_requested'").await;
        (count("email_challenge").await, events)
    };

    let free = change(&server, &tokens, NEW, PASSWORD).await;
    assert_eq!(rows().await, (1, 1));
    let taken = change(&server, &tokens, "bob@example.test", PASSWORD).await;
    assert_eq!(rows().await, (1, 2));

    assert_eq!(shape(&free), shape(&taken));
    eventually("the notice arrives", async || !smtp.mails_to("Bob@example.test").is_empty()).await;
    let notice = smtp.mails_to("Bob@example.test").remove(0);
    assert!(notice.text().contains("belongs to your account"), "{}", notice.text());
    assert!(!notice.text().contains("token="), "{}", notice.text());
    let same = change(&server, &tokens, "ADA@example.test", PASSWORD).await;
    same.expect_error(400, "VALIDATION_ERROR");
}

/// EN-03, EN-06: mails to a free address and to the address of another account may be dropped, or
/// fail. The data that the user downloads does not show which of the two addresses was free.
#[tokio::test]
async fn own_events_do_not_reveal_the_address_of_another_account() {
    let (smtp, server, tokens) = start().await;
    for taken in ["bob@example.test", "dead-bob@example.test"] {
        server.sign_up(taken).await.expect_status(201);
    }
    for dead in ["dead-bob@example.test", "dead-free@example.test"] {
        smtp.set_behaviour(dead, Behaviour::Refuse("550 no such user"));
    }
    let events_of = async |email: &str, requests: usize| {
        server.advance_seconds(60);
        let client = server.new_client_address();
        let seen = types_of_own_events(&server, &tokens).await.len();
        for _ in 0..requests {
            let request = server.request(Method::POST, "/api/auth/email");
            let request = request.header("x-forwarded-for", &client);
            let body = json!({ "email": email, "password": PASSWORD });
            let request = request.bearer_auth(&tokens.access_token).json(&body);
            Answer::of(request).await.expect_status(202);
        }
        let sent = async || server.database.count("outbox WHERE kind = 'mail'").await == 0;
        eventually("each mail is sent, or is a dead letter", sent).await;
        types_of_own_events(&server, &tokens).await.split_off(seen)
    };

    let (free, taken) = (events_of(NEW, 4).await, events_of("bob@example.test", 4).await);
    assert_eq!(free, taken);
    assert!(free.contains(&"mail_dropped".to_owned()), "{free:?}");
    let free = events_of("dead-free@example.test", 1).await;
    let taken = events_of("dead-bob@example.test", 1).await;
    assert_eq!(free, taken);
    let failed = server.database.count("auth_event WHERE type = 'mail_failed'").await;
    assert_eq!(failed, 2);
}

/// The types of the events in the data that the user downloads, in the order of the ids. Events of
/// the downloads are left out.
async fn types_of_own_events(server: &TestServer, tokens: &Tokens) -> Vec<String> {
    let data = server.download_data(&tokens.access_token, PASSWORD).await;
    let data = data.expect_status(200).json();
    let types = data["events"].as_array().unwrap().iter().map(|event| &event["type"]);
    let types = types.map(|kind| kind.as_str().unwrap().to_owned());
    types.filter(|kind| kind != "data_downloaded").collect()
}

/// An address that another account gets meanwhile is not taken over.
#[tokio::test]
async fn address_that_is_taken_meanwhile_is_not_taken_over() {
    let (smtp, server, tokens) = start().await;
    let handle = request(&server, &tokens, NEW).await;
    let (link, code) = secrets(&mail(&smtp, 1).await);
    server.sign_up(CANONICAL).await.expect_status(201);

    confirm_by_code(&server, &handle, &code).await.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    confirm(&server, token_of(&link), "password", PASSWORD)
        .await
        .expect_error(400, "INVALID_VERIFICATION_TOKEN");

    server.log_in(ADA, PASSWORD).await.expect_status(200);
    assert_eq!(server.database.count("auth_event WHERE type = 'email_changed'").await, 0);
}

/// AT-05: of 50 concurrent confirmations on two instances, one succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_concurrent_confirmations_succeeds() {
    let (smtp, server, tokens) = start().await;
    let other = server.another_instance().await;
    let handle = request(&server, &tokens, NEW).await;
    let (link, code) = secrets(&mail(&smtp, 1).await);

    let uses = (0..50).map(|n| {
        let (link, code, handle) = (&link, &code, &handle);
        let server = if n % 2 == 0 { &server } else { &other };
        async move {
            match n % 2 {
                0 => confirm_by_code(server, handle, code).await.status,
                _ => confirm(server, token_of(link), "password", PASSWORD).await.status,
            }
        }
    });
    let statuses = join_all(uses).await;

    let won = statuses.iter().filter(|status| **status == 204).count();
    assert_eq!(won, 1, "{statuses:?}");
    assert_eq!(server.database.count("auth_event WHERE type = 'email_changed'").await, 1);
    eventually("the notice arrives", async || smtp.mails_to(ADA).len() == 1).await;
}

/// A newer request voids link and code, and so does a change of the password.
#[tokio::test]
async fn link_and_code_become_void() {
    let (smtp, server, tokens) = start().await;
    let first = request(&server, &tokens, "eve@example.test").await;
    let older = secrets(&mail(&smtp, 1).await);
    server.advance_seconds(1);
    let second = request(&server, &tokens, NEW).await;
    let newer = secrets(&mail(&smtp, 2).await);
    let expect_void = async |handle: &str, (link, code): &(String, String), password: &str| {
        let by_link = confirm(&server, token_of(link), "password", password).await;
        by_link.expect_error(400, "INVALID_VERIFICATION_TOKEN");
        let by_code = confirm_by_code(&server, handle, code).await;
        by_code.expect_error(400, "INVALID_VERIFICATION_TOKEN");
    };

    expect_void(&first, &older, PASSWORD).await;
    let token = server.reset_token(ADA).await;
    let body = json!({ "token": token, "new_password": NEW_PASSWORD });
    server.post("/api/auth/password/reset", &body).await.expect_status(204);
    expect_void(&second, &newer, NEW_PASSWORD).await;
    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
}

/// ID-05, SU-05: an attacker who knew the password cannot complete a change of the address after
/// the operator or the owner has ended the sessions.
#[tokio::test]
async fn kill_switches_void_link_and_code() {
    for switch in ["disable", "end-sessions", "set-email", "others", "everywhere"] {
        let (smtp, server, tokens) = start().await;
        let handle = request(&server, &tokens, NEW).await;
        let (link, code) = secrets(&mail(&smtp, 1).await);

        match switch {
            "disable" => {
                server.account_command(&["disable", ADA]).await;
                server.account_command(&["enable", ADA]).await;
            }
            "set-email" => {
                server.account_command(&["set-email", ADA, "eve@example.test"]).await;
                server.account_command(&["set-email", "eve@example.test", ADA]).await;
            }
            "others" => {
                let ended = server.end_other_sessions(&tokens.access_token).await;
                ended.expect_status(204);
            }
            "everywhere" => {
                let mut browser = Browser::of(&server);
                let login = browser.get("/login").await;
                let typed = [("username", ADA), ("password", PASSWORD)];
                browser.submit("/login", &login, &typed).await.expect_status(303);
                let csrf = hidden_fields(&browser.get("/account").await)[0].1.clone();
                let ended = browser.post("/account", &[("csrf", &csrf), ("end", "all")]).await;
                ended.expect_status(303);
            }
            _ => drop(server.account_command(&["end-sessions", ADA]).await),
        }

        assert_eq!(server.database.count("email_challenge").await, 0, "{switch}");
        let by_code = confirm_by_code(&server, &handle, &code).await;
        by_code.expect_error(400, "INVALID_VERIFICATION_TOKEN");
        let by_link = confirm(&server, token_of(&link), "password", PASSWORD).await;
        by_link.expect_error(400, "INVALID_VERIFICATION_TOKEN");
        server.log_in(ADA, PASSWORD).await.expect_status(200);
    }
}

/// ID-05: notices of logins with new devices do not use up the limit for the notice to the old
/// address.
#[tokio::test]
async fn other_notices_do_not_prevent_the_notice_to_the_old_address() {
    let (smtp, server, tokens) = start().await;
    for device in ["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta", "Eta"] {
        let log_in = server.request(Method::POST, "/api/auth/login").header("user-agent", device);
        let log_in = log_in.header("x-forwarded-for", server.new_client_address());
        let body = json!({ "email": ADA, "password": PASSWORD });
        Answer::of(log_in.json(&body)).await.expect_status(200);
    }
    let dropped = "auth_event WHERE type = 'mail_dropped'";
    assert_eq!(server.database.count(dropped).await, 1);
    mail(&smtp, 5).await;
    let new_password = NEW_PASSWORD;
    let changed = server.change_password(&tokens.access_token, PASSWORD, new_password).await;
    changed.expect_status(204);
    let answer = change(&server, &tokens, NEW, new_password).await;
    let handle = answer.expect_status(202).text("handle");
    eventually("the code arrives", async || !smtp.mails_to(NEW).is_empty()).await;
    let (_, code) = secrets(&smtp.mails_to(NEW)[0]);

    confirm_by_code(&server, &handle, &code).await.expect_status(204);

    let is_sent = |text: &str| smtp.mails_to(ADA).iter().any(|mail| mail.text().contains(text));
    eventually("the notices arrive", async || {
        is_sent("The password of your account") && is_sent("The email address of your account")
    })
    .await;
    assert_eq!(smtp.mails_to(ADA).len(), 7);
}

/// On the pages: the account page leads to the form, and the new address is confirmed in the same
/// browser, by code or by link.
#[tokio::test]
async fn address_is_changed_on_the_pages() {
    let (smtp, server, _) = start().await;
    let mut browser = Browser::of(&server);
    let moved = browser.get("/account/email").await;
    assert_eq!(moved.location(), format!("{ISSUER}/change-email"));
    let to_login = browser.get("/change-email").await.location();
    let login = browser.get(&to_login).await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    let logged_in = browser.submit("/login", &login, &typed).await;
    assert_eq!(logged_in.location(), format!("{ISSUER}/change-email"));
    let account = browser.get("/account").await;
    assert!(account.html().contains("href=\"change-email\""), "{}", account.html());
    let page = browser.get("/change-email").await;
    for (email, password) in [("x", PASSWORD), (ADA, PASSWORD), (NEW, "wrong")] {
        let refused = [("email", email), ("password", password)];
        browser.submit("/change-email", &page, &refused).await.expect_status(400);
    }

    let typed = [("email", NEW), ("password", PASSWORD)];
    let sent = browser.submit("/change-email", &page, &typed).await;
    assert_eq!(sent.location(), format!("{ISSUER}/verify-email"));
    let shown = browser.get("/verify-email").await;
    assert!(shown.html().contains("keeps the old address"), "{}", shown.html());
    let (link, _) = secrets(&mail(&smtp, 1).await);
    let page = browser.get(link.strip_prefix(ISSUER).unwrap()).await;
    assert!(!page.html().contains("type=\"password\""), "{}", page.html());
    let done = browser.submit("/verify-email", &page, &[]).await;

    assert_eq!(done.location(), format!("{ISSUER}/verify-email?done=changed"));
    let account = browser.get("/account").await;
    assert!(account.html().contains(CANONICAL), "{}", account.html());
}

/// Without mail, owners cannot change their address: the page says that the operator can.
#[tokio::test]
async fn without_mail_the_operator_changes_addresses() {
    let server = TestServer::start().await;
    let tokens = server.sign_up(ADA).await.tokens();
    change(&server, &tokens, NEW, PASSWORD).await.expect_error(404, "MAIL_OFF");
    let mut browser = Browser::of(&server);
    let login = browser.get("/login").await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    browser.submit("/login", &login, &typed).await.expect_status(303);
    let page = browser.get("/change-email").await;
    page.expect_status(404);
    assert!(page.html().contains("operator can change it"), "{}", page.html());
}

/// `signet account set-email` notifies the old address, too.
#[tokio::test]
async fn change_by_the_operator_is_notified() {
    let (smtp, server, _) = start().await;
    let program = Program::new(&server.database)
        .with("SIGNET_MAIL", &smtp.url())
        .with("SIGNET_MAIL_FROM", "id@example.test");

    let changed = program.run(&["account", "set-email", ADA, NEW]).await;

    assert!(changed.status.success(), "{changed:?}");
    // The clock of the command is ahead of that of the server.
    server.advance_seconds(3600);
    let notice = mail(&smtp, 1).await;
    assert_eq!(notice.to, ADA);
    assert!(notice.text().contains("was changed"), "{}", notice.text());
}
