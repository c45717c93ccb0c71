//! `signet account create`, `require-reset`, `set-email` and `verify-email`.

use std::fs::write;

use futures_util::future::{join, join_all};
use serde_json::json;
use signet::config::SignUpMode;

use crate::harness::oauth::{Browser, CALLBACK};
use crate::harness::{PASSWORD, Program, TestServer};

const ADA: &str = "ada@example.test";
const NEW: &str = "lovelace@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";

async fn run_rejected(server: &TestServer, arguments: &[&str]) -> String {
    let output = Program::new(&server.database).run(&[&["account"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn reset(server: &TestServer, token: &str, status: u16) {
    let body = json!({ "token": token, "new_password": NEW_PASSWORD });
    server.post("/api/auth/password/reset", &body).await.expect_status(status);
}

/// Type of each event by the operator, oldest first.
async fn operator_events(server: &TestServer) -> Vec<String> {
    let types = "SELECT type FROM auth_event WHERE reason = 'by the operator' ORDER BY id";
    server.database.column(types).await
}

/// SU-04: an operator creates accounts whatever the sign-up policy says. Without a password, the
/// owner sets one with the reset token.
#[tokio::test]
async fn account_create_without_a_password_requires_a_reset() {
    let server = TestServer::with(|config| {
        config.signup.signup = SignUpMode::Closed;
        config.signup.signup_domains = vec!["elsewhere.test".to_owned()];
    })
    .await;

    let printed = server.account_command(&["create", "ADA@example.test", "--reset-token"]).await;

    let lines: Vec<_> = printed.lines().collect();
    let emails: Vec<String> = server.database.column("SELECT email_canonical FROM account").await;
    assert_eq!(emails, [ADA]);
    assert!(lines[0].starts_with("created 0") && lines[1].starts_with("sgp_"), "{printed}");
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    let why = server.account_command(&["why", ADA]).await;
    assert!(why.contains("password    none\n"), "{why}");
    reset(&server, lines[1], 204).await;
    let tokens = server.log_in(ADA, NEW_PASSWORD).await.tokens();
    assert_eq!(lines[0], format!("created {}", tokens.user_id));
    assert_eq!(operator_events(&server).await, ["signup"]);
}

/// SU-04, MUST-212: the password comes from a file or from standard input, and must meet the
/// policy.
#[tokio::test]
async fn account_create_reads_the_password_from_a_file_or_standard_input() {
    let server = TestServer::start().await;
    let file = server.database.directory().join("password");
    write(&file, format!("{PASSWORD}\n")).unwrap();
    let file_name = file.to_str().unwrap();
    let program = Program::new(&server.database);

    server.account_command(&["create", ADA, "--password-file", file_name, "--verified"]).await;
    let script = format!("\"$0\" account create bob@example.test --password-file - < {file_name}");
    let output = program.run_script(&script).await;

    assert!(output.status.success(), "{output:?}");
    let tokens = server.log_in(ADA, PASSWORD).await.tokens();
    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], true);
    let tokens = server.log_in("bob@example.test", PASSWORD).await.tokens();
    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], false);
    assert_eq!(operator_events(&server).await, ["signup", "email_verified", "signup"]);

    for (password, problem) in
        [("short", "the password "), ("", "the password "), ("Eve@example.test1", "the password ")]
    {
        write(&file, password).unwrap();
        let create = ["create", "eve@example.test", "--password-file", file_name];
        let message = run_rejected(&server, &create).await;
        assert!(message.contains(problem), "{message}");
        assert!(password.is_empty() || !message.contains(password), "{message}");
    }
    let create = ["create", "eve@example.test", "--password-file", "missing"];
    let message = run_rejected(&server, &create).await;
    assert!(message.contains("cannot read the password file missing"), "{message}");
    assert_eq!(server.database.count("account").await, 2);
}

/// ID-01: an address in another spelling cannot get a second account, not even concurrently with a
/// sign-up.
#[tokio::test]
async fn account_create_refuses_an_existing_address() {
    let server = TestServer::start().await;
    server.sign_up("stra\u{df}e@example.test").await.expect_status(201);

    let message = run_rejected(&server, &["create", "STRASSE@example.test"]).await;
    assert!(message.contains("another account has this address"), "{message}");
    let message = run_rejected(&server, &["create", "a@b@example.test"]).await;
    assert!(message.contains("the address must contain exactly one @"), "{message}");

    let sign_ups = join_all((0..4).map(|_| server.sign_up(ADA)));
    let program = Program::new(&server.database);
    let create = ["account", "create", ADA];
    let creations = join_all((0..4).map(|_| program.run(&create)));
    let (answers, outputs) = join(sign_ups, creations).await;
    let signed_up = answers.iter().filter(|answer| answer.status == 201).count();
    let created = outputs.iter().filter(|output| output.status.success()).count();
    assert_eq!(signed_up + created, 1);
    assert_eq!(server.database.count("account").await, 2);
}

/// SU-05: the command invalidates the password, all sessions and earlier reset tokens at once. The
/// owner can set a new password with the printed reset token.
#[tokio::test]
async fn require_reset_invalidates_password_and_sessions() {
    let server = TestServer::start().await;
    let first = server.sign_up(ADA).await.tokens();
    let second = server.log_in(ADA, PASSWORD).await.tokens();
    let earlier = server.reset_token(ADA).await;

    let printed = server.account_command(&["require-reset", ADA, "--reset-token"]).await;

    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "the password is no longer valid; 2 sessions ended");
    for tokens in [first, second] {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = server.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    reset(&server, &earlier, 400).await;
    reset(&server, lines[1], 204).await;
    server.log_in(ADA, NEW_PASSWORD).await.expect_status(200);
    let again = server.account_command(&["require-reset", ADA]).await;
    assert_eq!(again, "the password is no longer valid; 1 session ended\n");
    let repeated = server.account_command(&["require-reset", ADA]).await;
    assert_eq!(repeated, "the password is no longer valid; no session was live\n");
    let required = "auth_event WHERE type = 'password_reset_required'";
    assert_eq!(server.database.count(required).await, 2, "a repeated command adds no event");
}

/// SU-05, AT-10: a login in progress with the old password gives no valid session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn require_reset_invalidates_logins_in_progress() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    server.sign_up(ADA).await.expect_status(201);
    server.database.delay_after_inserts_into("session").await;

    let logins = join_all((0..20).map(|_| server.log_in(ADA, PASSWORD)));
    let requiring = server.account_command(&["require-reset", ADA]);
    let (answers, _) = join(logins, requiring).await;

    for answer in answers.iter().filter(|answer| answer.status == 200) {
        let tokens = answer.tokens();
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
    }
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 0);
}

/// SU-05: the account keeps its id and password, and gets the new address, which is not verified.
/// All sessions and reset tokens end.
#[tokio::test]
async fn set_email_changes_the_address_and_ends_sessions() {
    let server = TestServer::start().await;
    let before = server.sign_up(ADA).await.tokens();
    server.account_command(&["verify-email", ADA]).await;
    let token = server.reset_token(ADA).await;

    let printed = server.account_command(&["set-email", ADA, "LOVELACE@example.test"]).await;

    assert_eq!(printed, "changed; 1 session ended\n");
    // RS-03: mail goes to the address as it was written.
    let stored: Vec<String> = server.database.column("SELECT email FROM account").await;
    assert_eq!(stored, ["LOVELACE@example.test"]);
    server.me(&before.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&before.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    reset(&server, &token, 400).await;
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    let after = server.log_in(NEW, PASSWORD).await.tokens();
    assert_eq!(after.user_id, before.user_id);
    let me = server.me(&after.access_token).await.json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(NEW), &json!(false)));
    assert_eq!(operator_events(&server).await, ["email_verified", "email_changed"]);

    // The old address is free, and gets another account.
    let other = server.sign_up(ADA).await.tokens();
    assert_ne!(other.user_id, before.user_id);
    server.account_command(&["set-email", NEW, "l@example.test", "--verified"]).await;
    let tokens = server.log_in("l@example.test", PASSWORD).await.tokens();
    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], true);
}

/// ID-01: the new address is unique by its folded form. A refused change changes nothing.
#[tokio::test]
async fn set_email_refuses_an_address_of_another_account() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    server.sign_up("stra\u{df}e@example.test").await.expect_status(201);

    for (new, problem) in [
        ("STRASSE@example.test", "another account has this address"),
        ("ADA@example.test", "the account already has this address"),
        ("a@b@example.test", "the new address must contain exactly one @"),
    ] {
        let message = run_rejected(&server, &["set-email", ADA, new]).await;
        assert!(message.contains(problem), "{new}: {message}");
    }
    server.me(&ada.access_token).await.expect_status(200);
    server.log_in(ADA, PASSWORD).await.expect_status(200);
    // Another spelling of the own address is no conflict.
    server.account_command(&["set-email", "strasse@example.test", "strasse@example.test"]).await;
    server.log_in("stra\u{df}e@example.test", PASSWORD).await.expect_status(200);
    assert_eq!(operator_events(&server).await, ["email_changed"]);
}

/// ID-01, AT-01: if several accounts are given the same address concurrently, one of them gets it.
#[tokio::test]
async fn set_email_gives_an_address_to_one_account() {
    let server = TestServer::start().await;
    for n in 0..6 {
        server.sign_up(&format!("user{n}@example.test")).await.expect_status(201);
    }
    let program = Program::new(&server.database);

    let changes = (0..6).map(async |n| {
        let old = format!("user{n}@example.test");
        program.run(&["account", "set-email", &old, NEW]).await.status.success()
    });
    let results = join_all(changes).await;

    assert_eq!(results.iter().filter(|it| **it).count(), 1, "{results:?}");
    let sql = format!("account WHERE email_canonical = '{NEW}'");
    assert_eq!(server.database.count(&sql).await, 1);
    assert_eq!(operator_events(&server).await, ["email_changed"]);
}

/// SU-06: the command verifies the present address once; tokens say so from the next refresh.
#[tokio::test]
async fn verify_email_marks_the_present_address() {
    let server = TestServer::start().await;
    let tokens = server.sign_up(ADA).await.tokens();
    assert_eq!(TestServer::claims(&tokens.access_token)["email_verified"], false);

    for _ in 0..2 {
        assert_eq!(server.account_command(&["verify-email", ADA]).await, "verified\n");
    }

    let refreshed = server.refresh(&tokens.refresh_token).await.tokens();
    assert_eq!(TestServer::claims(&refreshed.access_token)["email_verified"], true);
    assert_eq!(server.me(&tokens.access_token).await.json()["email_verified"], true);
    assert_eq!(operator_events(&server).await, ["email_verified"]);
    // An ambiguous address belongs to no account alone.
    server.database.execute("UPDATE account SET email_ambiguous = TRUE").await;
    let message = run_rejected(&server, &["verify-email", ADA]).await;
    assert!(message.contains("two accounts have equivalent addresses"), "{message}");
}

/// SU-05: a browser login ends with the password, and the hosted login refuses the old password.
#[tokio::test]
async fn require_reset_ends_browser_logins() {
    let server = TestServer::start().await;
    server.register_web_client().await;
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    browser.log_in_for_code(ADA, &[]).await;

    server.account_command(&["require-reset", ADA]).await;

    let silent = browser.authorize(&[("prompt", "none")]).await;
    assert_eq!(silent.sent_to(CALLBACK)["error"], "login_required");
    let login = browser.authorize(&[]).await;
    browser.log_in(&login, ADA).await.expect_status(400);
}

#[tokio::test]
async fn operator_changes_reject_an_unknown_address() {
    let server = TestServer::start().await;

    for command in [
        &["require-reset", "nobody@example.test"][..],
        &["set-email", "nobody@example.test", NEW],
        &["verify-email", "nobody@example.test"],
    ] {
        let message = run_rejected(&server, command).await;
        assert!(message.contains("there is no account with this address"), "{message}");
    }
}
