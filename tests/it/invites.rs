//! Invites: `signet account invite`, `signet invite`, and signing up with one.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use signet::config::{SignUpMode, VerifyEmail};

use crate::harness::mailed::mail;
use crate::harness::oauth::{Browser, ISSUER};
use crate::harness::smtp::SmtpServer;
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually};

const ADA: &str = "ada@example.test";
const LINK: &str = "http://localhost:8080/signup?invite=";

/// A server on which only people with an invite sign up.
async fn server() -> TestServer {
    TestServer::with(|config| {
        config.signup.signup = SignUpMode::Invite;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await
}

/// Invites an address; returns the token.
async fn invite(server: &TestServer, address: &str) -> String {
    let printed = server.account_command(&["invite", address]).await;
    let token = printed.strip_prefix(LINK).unwrap_or_else(|| panic!("{printed}"));
    token.trim_end().to_owned()
}

async fn sign_up(server: &TestServer, address: &str, token: &str) -> Answer {
    let body = json!({ "email": address, "password": PASSWORD, "invite": token });
    server.post("/api/auth/signup", &body).await
}

async fn run(server: &TestServer, arguments: &[&str]) -> String {
    let output = Program::new(&server.database).run(arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn run_rejected(server: &TestServer, arguments: &[&str]) -> String {
    let output = Program::new(&server.database).run(arguments).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Type and reason of the events about sign-ups and invites. They are sorted, because their order
/// varies: commands and the server use different clocks.
async fn events(server: &TestServer) -> Vec<String> {
    let sql = "SELECT type || ' ' || coalesce(reason, '') FROM auth_event \
               WHERE type LIKE 'signup%' OR type LIKE 'invite%' OR type = 'email_verified'";
    let mut events: Vec<String> = server.database.column(sql).await;
    events.sort();
    events
}

/// SU-03: an invite permits one sign-up, whether sign-up is open or by invite only. A printed link
/// does not prove control of the address.
#[tokio::test]
async fn invite_permits_one_sign_up() {
    for mode in [SignUpMode::Invite, SignUpMode::Open] {
        let server = TestServer::with(|config| config.signup.signup = mode).await;
        let token = invite(&server, ADA).await;
        assert!(token.starts_with("sgi_"), "{token}");

        let tokens = sign_up(&server, ADA, &token).await.expect_status(201).tokens();

        let me = server.me(&tokens.access_token).await.json();
        assert_eq!((&me["email"], &me["email_verified"]), (&json!(ADA), &json!(false)));
        assert_eq!(server.database.count("invite").await, 0);
        server.account_command(&["delete", ADA]).await;
        sign_up(&server, ADA, &token).await.expect_error(400, "INVALID_INVITE");
        assert_eq!(server.database.count("account WHERE deleted_at IS NULL").await, 0);
    }
}

/// SU-03: an invite is for its address alone, in any spelling of it. Attempts with other addresses
/// do not use it up.
#[tokio::test]
async fn invite_is_bound_to_its_address() {
    let server = server().await;
    let token = invite(&server, "stra\u{df}e@B\u{fc}cher.example").await;
    let others = invite(&server, "bob@example.test").await;

    for address in ["eve@example.test", "strasse@example.test", "bob@example.test"] {
        sign_up(&server, address, &token).await.expect_error(400, "INVALID_INVITE");
    }
    for invalid in ["", "sgi_x", &token[1..], "\u{1f511}"] {
        sign_up(&server, "eve@example.test", invalid).await.expect_error(400, "INVALID_INVITE");
    }

    sign_up(&server, "STRASSE@xn--bcher-kva.example", &token).await.expect_status(201);
    sign_up(&server, "bob@example.test", &others).await.expect_status(201);
    assert_eq!(server.database.count("account").await, 2);
}

/// SU-03, AT-01, AT-05: of 50 concurrent uses on two instances, one creates an account.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invite_used_concurrently_on_two_instances_creates_one_account() {
    let one = server().await;
    let other = one.another_instance().await;
    let token = invite(&one, ADA).await;
    one.database.delay_before_inserts_into("account").await;

    let uses = (0..50).map(|n| sign_up(if n % 2 == 0 { &one } else { &other }, ADA, &token));
    let answers = join_all(uses).await;

    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let code = refused.json()["error"]["code"].clone();
        assert!(code == "INVALID_INVITE" || code == "EMAIL_EXISTS", "{refused:?}");
    }
    assert_eq!(one.database.count("account").await, 1);
    assert_eq!(one.database.count("session").await, 1);
    assert_eq!(one.database.count("auth_event WHERE type = 'signup'").await, 1);
}

/// SU-03: an invite expires, and is then deleted.
#[tokio::test]
async fn invite_expires() {
    let server = server().await;
    let token = invite(&server, ADA).await;
    let (began, after_a_week) = (server.clock.now(), Duration::from_mins(7 * 24 * 60 + 1));
    // The deletion of expired rows does not follow the wall clock alone, so the row still exists.
    server.clock.set(began.plus(after_a_week));

    sign_up(&server, ADA, &token).await.expect_error(400, "INVALID_INVITE");

    assert_eq!(server.database.count("invite").await, 1);
    server.clock.set(began);
    server.clock.advance(after_a_week);
    let long = ["account", "invite", "bob@example.test", "--invite-seconds", "7776000"];
    let printed = run(&server, &long).await;
    let bobs = printed.trim().strip_prefix(LINK).unwrap().to_owned();
    let server = server.restart().await;
    eventually("the expired invite is deleted", async || {
        server.database.count("invite").await == 1
    })
    .await;
    sign_up(&server, "bob@example.test", &bobs).await.expect_status(201);
}

/// SU-03: an operator lists and revokes invites; a new invite replaces an earlier one.
#[tokio::test]
async fn invites_are_listed_revoked_and_replaced() {
    let server = server().await;
    let replaced = invite(&server, ADA).await;
    let newest = invite(&server, "ADA@example.test").await;
    let bobs = invite(&server, "bob@example.test").await;
    let eves = invite(&server, "eve@example.test").await;

    let lines = run(&server, &["invite", "list"]).await;
    let objects = run(&server, &["invite", "list", "--json"]).await;
    let objects: Vec<Value> = objects.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let bob = objects[1]["id"].as_str().unwrap();
    let revoked = run(&server, &["invite", "revoke", bob]).await;
    run(&server, &["invite", "revoke", "EVE@example.test"]).await;

    assert_eq!(objects.len(), 3, "{lines}");
    assert_eq!(objects[0]["email"], ADA);
    assert_eq!(objects[0]["mailed_at"], Value::Null);
    assert!(lines.lines().nth(1).unwrap().starts_with(&format!("{bob}  bob@example.test  ")));
    for token in [&replaced, &newest, &bobs, &eves] {
        assert!(!lines.contains(&**token));
    }
    assert_eq!(revoked, "revoked the invite of bob@example.test\n");
    sign_up(&server, ADA, &replaced).await.expect_error(400, "INVALID_INVITE");
    sign_up(&server, "bob@example.test", &bobs).await.expect_error(400, "INVALID_INVITE");
    sign_up(&server, "eve@example.test", &eves).await.expect_error(400, "INVALID_INVITE");
    sign_up(&server, ADA, &newest).await.expect_status(201);
    for gone in [bob, "eve@example.test", ADA] {
        let message = run_rejected(&server, &["invite", "revoke", gone]).await;
        assert!(message.contains("there is no such invite"), "{message}");
    }
}

/// SU-03, AU-01: each step is one event. Events name the invite by its id.
#[tokio::test]
async fn invites_are_audited() {
    let server = server().await;
    let token = invite(&server, ADA).await;
    invite(&server, "bob@example.test").await;
    let ids: Vec<String> = {
        let objects = run(&server, &["invite", "list", "--json"]).await;
        let id = |it: &str| serde_json::from_str::<Value>(it).unwrap()["id"].clone();
        objects.lines().map(|it| id(it).as_str().unwrap().to_owned()).collect()
    };
    run(&server, &["invite", "revoke", "bob@example.test"]).await;
    sign_up(&server, "eve@example.test", &token).await.expect_status(400);
    sign_up(&server, ADA, &token).await.expect_status(201);

    let mut expected = [
        format!("invite_created {}", ids[0]),
        format!("invite_created {}", ids[1]),
        format!("invite_revoked {}", ids[1]),
        "signup_failed invalid_invite".to_owned(),
        format!("signup invite {}", ids[0]),
    ];
    expected.sort();
    assert_eq!(events(&server).await, expected);
}

/// SU-03: an address with an account cannot be invited. If the address gets an account after the
/// invite, the invite is refused like any sign-up with this address.
#[tokio::test]
async fn invite_for_an_address_with_an_account_is_refused() {
    let server = TestServer::start().await;
    server.sign_up("stra\u{df}e@example.test").await.expect_status(201);
    let message = run_rejected(&server, &["account", "invite", "STRASSE@example.test"]).await;
    assert!(message.contains("an account with this address exists"), "{message}");
    let message = run_rejected(&server, &["account", "invite", "nobody"]).await;
    assert!(message.contains("the address must contain exactly one @"), "{message}");

    let token = invite(&server, ADA).await;
    server.sign_up(ADA).await.expect_status(201);

    sign_up(&server, ADA, &token).await.expect_error(409, "EMAIL_EXISTS");
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// SU-03: an invite is valid for any domain. If sign-up is closed, invites are refused, too, and
/// the command says so.
#[tokio::test]
async fn invite_overrides_the_domains_but_not_a_closed_sign_up() {
    let server = TestServer::with(|config| {
        config.signup.signup_domains = vec!["elsewhere.test".to_owned()];
    })
    .await;
    let token = invite(&server, ADA).await;
    let closed = server.another_instance_with({
        let mut config = server.config.clone();
        config.signup.signup = SignUpMode::Closed;
        config
    });
    let closed = closed.await;

    server.sign_up(ADA).await.expect_error(403, "SIGNUP_DOMAIN_NOT_ALLOWED");
    sign_up(&closed, ADA, &token).await.expect_error(403, "SIGNUP_CLOSED");
    let page = Browser::of(&closed).get(&format!("/signup?invite={token}")).await;
    page.expect_status(403);
    assert!(page.html().contains("Nobody can sign up here"), "{}", page.html());
    sign_up(&server, ADA, &token).await.expect_status(201);

    let program = Program::new(&server.database).with("SIGNET_SIGNUP", "closed");
    let output = program.run(&["account", "invite", "bob@example.test"]).await;
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("Sign-up is closed") && message.contains("SIGNET_SIGNUP"),
        "{message}"
    );
}

/// SU-03, CO-05: the database contains a digest of the token, and not the token itself.
#[tokio::test]
async fn invite_is_stored_as_a_digest() {
    let server = server().await;
    let token = invite(&server, ADA).await;

    let dump = server.database.dump().await;

    assert_eq!(token.len(), "sgi_".len() + 43);
    let secret = token.strip_prefix("sgi_").unwrap();
    let is_found = |cell: &String| cell.contains(secret);
    assert!(!dump.values().flatten().any(is_found), "the token is stored");
    let digest = openssl::sha::sha256(token.as_bytes()).map(|byte| format!("{byte:02x}")).concat();
    let digests = &dump[&("invite".to_owned(), "digest".to_owned())];
    assert_eq!(digests, &[digest]);
}

/// SU-03: the link fills in the address. Opening the link does not use up the invite, because mail
/// scanners do that. Submitting the form does. Submitting it twice gives the same response.
#[tokio::test]
async fn invite_link_opens_the_sign_up_page() {
    let server = server().await;
    let token = invite(&server, ADA).await;
    let link = format!("/signup?invite={token}");
    for _ in 0..3 {
        Browser::of(&server).get(&link).await.expect_status(200);
    }
    let mut browser = Browser::of(&server);

    let page = browser.get(&link).await;
    let shown = page.html();
    assert!(shown.contains(&format!("value=\"{ADA}\" readonly")), "{shown}");
    let weak = [("username", ADA), ("password", "short")];
    let again = browser.submit("/signup", &page, &weak).await;
    again.expect_status(400);
    let fields = [("username", ADA), ("password", PASSWORD)];
    let mut second_click = Browser::of(&server);
    second_click.cookie.clone_from(&browser.cookie);
    let done = browser.submit("/signup", &again, &fields).await;
    let repeated = second_click.submit("/signup", &again, &fields).await;

    for answer in [done, repeated] {
        assert!(answer.location().ends_with("/account"), "{answer:?}");
    }
    assert_eq!(server.database.count("account").await, 1);
    let page = Browser::of(&server).get(&link).await;
    page.expect_status(403);
    assert!(page.html().contains("This invitation is not valid."), "{}", page.html());
    assert!(page.html().contains("<a href=\"login\">Log in</a>"));
}

/// SU-03: a form with an invite that was revoked meanwhile, or with another address, creates no
/// account and says why.
#[tokio::test]
async fn invalid_invite_is_refused_on_the_page() {
    let server = server().await;
    let token = invite(&server, ADA).await;
    let mut browser = Browser::of(&server);
    let page = browser.get(&format!("/signup?invite={token}")).await;

    let eves = [("username", "eve@example.test"), ("password", PASSWORD)];
    let other = browser.submit("/signup", &page, &eves).await;
    run(&server, &["invite", "revoke", ADA]).await;
    let fields = [("username", ADA), ("password", PASSWORD)];
    let revoked = browser.submit("/signup", &page, &fields).await;

    for refused in [other, revoked] {
        refused.expect_status(400);
        assert!(refused.html().contains("This invitation is not valid."), "{}", refused.html());
    }
    assert_eq!(server.database.count("account").await, 0);
}

/// ID-06: the deletion of an account deletes an invite of its address.
#[tokio::test]
async fn account_deletion_deletes_the_invite_of_the_address() {
    let server = TestServer::start().await;
    let token = invite(&server, ADA).await;
    server.sign_up(ADA).await.expect_status(201);
    invite(&server, "bob@example.test").await;

    server.account_command(&["delete", ADA]).await;

    let left: Vec<String> = server.database.column("SELECT email FROM invite").await;
    assert_eq!(left, ["bob@example.test"]);
    sign_up(&server, ADA, &token).await.expect_error(400, "INVALID_INVITE");
}

/// W9: a restored backup may contain invites that were used or revoked later.
#[tokio::test]
async fn invites_are_invalid_after_signet_restored() {
    let mut server = server().await;
    let token = invite(&server, ADA).await;
    server.stop_cleanly().await;

    run(&server, &["restored"]).await;

    let server = server.restart().await;
    sign_up(&server, ADA, &token).await.expect_error(400, "INVALID_INVITE");
}

/// A server on which only people with an invite sign up, and that sends mail.
async fn server_with_mail() -> (SmtpServer, TestServer) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        config.signup.signup = SignUpMode::Invite;
        config.mail.mail = url.parse().unwrap();
        config.mail.mail_from = Some("id@example.test".to_owned());
    })
    .await;
    (smtp, server)
}

fn program_with_mail(smtp: &SmtpServer, server: &TestServer) -> Program {
    Program::new(&server.database)
        .with("SIGNET_MAIL", &smtp.url())
        .with("SIGNET_MAIL_FROM", "id@example.test")
}

/// SU-03, RS-04: if mail is on, the link goes to the address as the operator typed it, and is not
/// printed. The sign-up with a mailed invite verifies the address. Scanners that open the link do
/// not use up the invite.
#[tokio::test]
async fn mailed_invite_verifies_the_address() {
    let (smtp, server) = server_with_mail().await;
    let program = program_with_mail(&smtp, &server);

    let sent = program.run(&["account", "invite", "Ada.L@Example.test", "--language", "de"]).await;
    assert!(sent.status.success(), "{sent:?}");
    let printed = String::from_utf8([sent.stdout, sent.stderr].concat()).unwrap();
    assert!(!printed.contains("sgi_"), "{printed}");
    // The clock of the command is ahead of that of the server.
    server.advance_seconds(3600);
    let mail = mail(&smtp, 1).await;
    assert_eq!(mail.to, "Ada.L@example.test");
    assert_eq!(mail.header("Content-Language"), "de");
    let text = mail.text();
    let link = text.lines().find(|line| line.starts_with("https://")).unwrap();
    let token = link.strip_prefix(&format!("{ISSUER}/signup?invite=")).unwrap();
    for _ in 0..3 {
        Browser::of(&server).get(link).await.expect_status(200);
    }
    sign_up(&server, "eve@example.test", token).await.expect_error(400, "INVALID_INVITE");

    let tokens = sign_up(&server, "ada.l@example.test", token).await.expect_status(201).tokens();

    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], true);
    let claims = TestServer::claims(&tokens.access_token);
    assert_eq!(claims["email_verified"], true, "{claims}");
    assert!(events(&server).await.contains(&"email_verified ".to_owned()));
    server.account_command(&["delete", "ada.l@example.test"]).await;
    sign_up(&server, "ada.l@example.test", token).await.expect_error(400, "INVALID_INVITE");
}

/// SU-03: addresses that fold alike are one account, but may be different mailboxes. A mailed invite
/// verifies only the address to which it was mailed; for another one it is like a printed invite.
#[tokio::test]
async fn mailed_invite_does_not_verify_another_mailbox() {
    for mode in [VerifyEmail::Off, VerifyEmail::Require] {
        let (smtp, server) = server_with_mail().await;
        let mut config = server.config.clone();
        config.signup.verify_email = mode;
        let server = server.another_instance_with(config).await;
        let program = program_with_mail(&smtp, &server);
        let sent = program.run(&["account", "invite", "stra\u{df}e@example.test"]).await;
        assert!(sent.status.success(), "{sent:?}");
        // The clock of the command is ahead of that of the server.
        server.advance_seconds(3600);
        let text = mail(&smtp, 1).await.text();
        let token = text.lines().find_map(|line| line.split_once("?invite=")).unwrap().1;

        let answer = sign_up(&server, "strasse@example.test", token).await;

        if mode == VerifyEmail::Off {
            let tokens = answer.expect_status(201).tokens();
            let claims = TestServer::claims(&tokens.access_token);
            assert_eq!(claims["email_verified"], false, "{claims}");
        } else {
            answer.expect_status(202);
        }
        assert!(!events(&server).await.contains(&"email_verified ".to_owned()));
        assert_eq!(server.database.count("account").await, 1);
        assert_eq!(server.database.count("account WHERE email_verified_at IS NULL").await, 1);
        assert_eq!(server.database.count("invite").await, 0);
    }
}

/// SU-03: `--print` prints the link, which does not verify the address. With
/// `SIGNET_VERIFY_EMAIL=require`, a sign-up with a printed invite needs a verification, and one
/// with a mailed invite does not.
#[tokio::test]
async fn printed_invite_does_not_verify_the_address() {
    let (smtp, open) = server_with_mail().await;
    let mut config = open.config.clone();
    config.signup.verify_email = VerifyEmail::Require;
    let server = open.another_instance_with(config).await;
    let program = program_with_mail(&smtp, &server);
    let printed = program.run(&["account", "invite", ADA, "--print"]).await;
    let printed = String::from_utf8(printed.stdout).unwrap();
    let token = printed.trim().strip_prefix(LINK).unwrap();

    sign_up(&server, ADA, token).await.expect_status(202);

    assert!(mail(&smtp, 1).await.text().contains("/verify-email?token="));
    program.run(&["account", "invite", "bob@example.test"]).await;
    server.advance_seconds(3600);
    let text = mail(&smtp, 2).await.text();
    let token = text.lines().find_map(|line| line.split_once("?invite=")).unwrap().1;
    sign_up(&server, "bob@example.test", token).await.expect_status(201);
}

/// A mail that waits for the SMTP server contains no link, and is not sent if the invite is
/// revoked.
#[tokio::test]
async fn revoked_invite_is_not_mailed() {
    let (smtp, server) = server_with_mail().await;
    let (program, address) = (program_with_mail(&smtp, &server), smtp.address);
    drop(smtp);
    for address in [ADA, "bob@example.test"] {
        assert!(program.run(&["account", "invite", address]).await.status.success());
    }
    let stored: Vec<String> =
        server.database.column("SELECT CAST(payload AS TEXT) FROM outbox").await;
    assert!(!stored.concat().contains("sgi_"), "{stored:?}");
    run(&server, &["invite", "revoke", ADA]).await;

    let smtp = SmtpServer::start_at(address, Duration::ZERO).await;
    eventually("the outbox is empty", async || {
        server.advance_seconds(60);
        server.database.count("outbox").await == 0
    })
    .await;

    let recipients: Vec<_> = smtp.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(recipients, ["bob@example.test"]);
}

/// One address gets at most five invites an hour.
#[tokio::test]
async fn mailed_invites_are_limited() {
    let (smtp, server) = server_with_mail().await;
    let program = program_with_mail(&smtp, &server);
    for _ in 0..5 {
        assert!(program.run(&["account", "invite", ADA]).await.status.success());
    }

    let refused = program.run(&["account", "invite", ADA]).await;

    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--print"));
    assert_eq!(server.database.count("invite").await, 1);
}
