//! `signet account`: administration of accounts.

use futures_util::future::{join, join_all};
use serde_json::Value;

use crate::harness::{Answer, PASSWORD, Program, TestServer};

const ADA: &str = "ada@example.test";

async fn run_rejected(server: &TestServer, arguments: &[&str]) -> String {
    let output = Program::new(&server.database).run(&[&["account"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// SS-12: disabling an account takes effect at once on sessions, refreshes and logins.
#[tokio::test]
async fn account_disable_ends_sessions_and_enable_does_not_restore_them() {
    let server = TestServer::start().await;
    let tokens = [server.sign_up(ADA).await.tokens(), server.log_in(ADA, PASSWORD).await.tokens()];
    let bob = server.sign_up("bob@example.test").await.tokens();

    let printed = server.account_command(&["disable", "ADA@example.test"]).await;

    assert_eq!(printed, "disabled; 2 sessions ended\n");
    let assert_logged_out = async || {
        for tokens in &tokens {
            server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
            server.sessions(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
            let refused = server.refresh(&tokens.refresh_token).await;
            refused.expect_error(401, "INVALID_REFRESH_TOKEN");
        }
    };
    assert_logged_out().await;
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.refresh(&bob.refresh_token).await.expect_status(200);

    assert_eq!(server.account_command(&["enable", ADA]).await, "enabled\n");

    assert_logged_out().await;
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// AU-01: each change is one event. A repeated command adds none.
#[tokio::test]
async fn operator_actions_are_audited_once() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);

    let commands = ["disable", "disable", "enable", "enable", "end-sessions", "end-sessions"];
    let mut printed = Vec::new();
    for command in commands {
        printed.push(server.account_command(&[command, ADA]).await);
        if command == "enable" {
            server.log_in(ADA, PASSWORD).await.expect_status(200);
        }
    }
    server.account_command(&["delete", ADA]).await;

    let expected = [
        "disabled; 1 session ended\n",
        "disabled; no session was live\n",
        "enabled\n",
        "enabled\n",
        "2 sessions ended\n",
        "no session was live\n",
    ];
    assert_eq!(printed, expected);
    let types = "SELECT type FROM auth_event WHERE reason = 'by the operator' ORDER BY id";
    assert_eq!(
        server.database.column::<String>(types).await,
        ["account_disabled", "account_enabled", "session_revoked", "account_deleted"]
    );
}

#[tokio::test]
async fn end_sessions_command_ends_sessions_and_permits_a_new_login() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();

    server.account_command(&["end-sessions", ADA]).await;

    server.me(&ada.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&ada.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// ID-06
#[tokio::test]
async fn account_delete_removes_the_account() {
    let server = TestServer::start().await;
    let before = server.sign_up(ADA).await.tokens();

    assert_eq!(server.account_command(&["delete", ADA]).await, "deleted\n");

    server.me(&before.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&before.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_ne!(server.sign_up(ADA).await.tokens().user_id, before.user_id);
    assert_eq!(server.database.count("session").await, 1);
}

#[tokio::test]
async fn account_list_and_show_print_details_and_no_secret() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let bob = server.sign_up("bob@example.test").await.tokens();
    server.account_command(&["disable", "bob@example.test"]).await;

    let list = server.account_command(&["list"]).await;
    let view = server.account_command(&["show", ADA]).await;

    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    let begins = |line: &str, id, rest: &str| line.starts_with(&format!("{id}  {rest}"));
    assert!(begins(lines[0], ada.user_id, "ada@example.test  enabled  last login 2"), "{list}");
    assert!(begins(lines[1], bob.user_id, "bob@example.test  disabled  last login 2"), "{list}");
    for part in [ada.user_id.to_string(), TestServer::session_id(&ada.access_token)] {
        assert!(view.contains(&part), "{view}");
    }
    for (name, value) in
        [("address", ADA), ("disabled", "no"), ("verified", "no"), ("sessions", "1")]
    {
        assert!(view.contains(&format!("{name:<11} {value}\n")), "{view}");
    }
    let hashes: Vec<String> = server.database.column("SELECT password_hash FROM account").await;
    for hash in hashes {
        assert!(!list.contains(&hash) && !view.contains(&hash));
    }
    assert!(!view.contains("$argon2") && !list.contains("$argon2"));
}

#[tokio::test]
async fn account_list_contains_every_account_once() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    let (id, numbers) = if server.database.is_postgres() {
        ("gen_random_uuid()", "generate_series(1, 1203) AS n(i)")
    } else {
        ("randomblob(16)", "n")
    };
    server
        .database
        .execute(&format!(
            "INSERT INTO account (id, email, email_canonical, created_at) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1203) \
             SELECT {id}, 'a' || i || '@example.test', 'a' || i || '@example.test', 1 \
             FROM {numbers}"
        ))
        .await;

    let list = server.account_command(&["list"]).await;

    let mut addresses: Vec<_> =
        list.lines().filter_map(|line| line.split("  ").nth(1)).map(str::to_owned).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!((list.lines().count(), addresses.len()), (1_204, 1_204));
}

#[tokio::test]
async fn account_commands_reject_an_unknown_address() {
    let server = TestServer::start().await;

    for command in ["show", "disable", "enable", "delete", "end-sessions", "reset-password"] {
        let message = run_rejected(&server, &[command, "nobody@example.test"]).await;
        assert!(message.contains("there is no account with this address"), "{command}: {message}");
        let message = run_rejected(&server, &[command, "nobody"]).await;
        assert!(message.contains("the address must contain exactly one @"), "{command}: {message}");
    }
}

/// SS-12, AT-10: requests in flight give a disabled account no valid session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn account_disable_invalidates_requests_in_flight() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let ada = server.sign_up(ADA).await.tokens();
    server.database.delay_after_inserts_into("session").await;

    let racing = (0..20).map(async |n: u32| {
        if n.is_multiple_of(4) {
            server.refresh(&ada.refresh_token).await
        } else {
            server.log_in(ADA, PASSWORD).await
        }
    });
    let disabling = server.account_command(&["disable", ADA]);
    let (raced, printed) = join(join_all(racing), disabling).await;

    assert!(printed.starts_with("disabled; "), "{printed}");
    for tokens in raced.iter().filter(|answer| answer.status == 200).map(Answer::tokens) {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = server.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    assert_eq!(server.database.count("session WHERE ended_at IS NULL").await, 0);
}

/// D2: the output explains why a user cannot log in: each failure with its reason and address, and
/// whether a limit is reached.
#[tokio::test]
async fn account_show_lists_login_failures_and_reached_limits() {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    for _ in 0..5 {
        server.log_in_from("203.0.113.9", ADA, "Wrong-password-1").await.expect_status(401);
        server.log_in_from("203.0.113.10", ADA, "Wrong-password-1").await.expect_status(401);
    }
    server.log_in_from("203.0.113.11", ADA, PASSWORD).await.expect_status(429);
    server.account_command(&["disable", ADA]).await;
    server.log_in("nobody@example.test", PASSWORD).await.expect_status(401);
    server.sign_up(ADA).await.expect_status(409);

    let view = server.account_command(&["show", ADA]).await;

    assert!(view.contains("limited     until 2"), "{view}");
    assert!(view.contains("failures    10, the last of more\n"), "{view}");
    let failed: Vec<_> = view.lines().filter(|line| line.contains("  from ")).collect();
    let (last, before) = (failed[0], failed[1]);
    assert!(last.contains("  signup_failed  email_exists  from "), "{view}");
    assert!(before.contains("  rate_limited  account  from 203.0.113.11"), "{view}");
    assert!(failed[2].contains("  login_failed  wrong_password  from 203.0.113.10"), "{view}");
    server.advance_seconds(60);
    server.log_in(ADA, PASSWORD).await.expect_status(401);
    let view = server.account_command(&["show", ADA]).await;
    assert!(view.contains("  login_failed  disabled  from "), "{view}");

    // Failures are also listed for an address without an account: the user may have mistyped it.
    let program = Program::new(&server.database);
    let output = program.run(&["account", "show", "nobody@example.test"]).await;
    let message = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("  login_failed  unknown_account  from "), "{message}");
    let stored = server.database.count("auth_event WHERE reason LIKE '%nobody%'").await;
    assert_eq!(stored, 0, "the address itself is not stored");
}

#[tokio::test]
async fn account_commands_accept_an_account_id() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let id = ada.user_id.to_string();

    assert!(server.account_command(&["show", &id]).await.contains("address     ada@example.test"));
    assert_eq!(server.account_command(&["disable", &id]).await, "disabled; 1 session ended\n");
    assert_eq!(server.account_command(&["enable", &id]).await, "enabled\n");
    let unknown_id = "01a22a16-66f7-70d0-932b-c5a1a930e68e";
    let message = run_rejected(&server, &["show", unknown_id]).await;
    assert!(message.contains("there is no account"), "{message}");
    server.account_command(&["delete", &id]).await;
    let message = run_rejected(&server, &["show", &id]).await;
    assert!(message.contains("there is no account"), "{message}");
}

#[tokio::test]
async fn account_list_supports_filters_and_json() {
    let server = TestServer::start().await;
    for email in [ADA, "bob@example.test", "carol@example.org"] {
        server.sign_up(email).await.expect_status(201);
    }
    server.account_command(&["disable", "bob@example.test"]).await;

    let list = async |arguments: &[&str]| {
        let printed = server.account_command(&[&["list", "--json"], arguments].concat()).await;
        let accounts = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        accounts.collect::<Vec<_>>()
    };
    let addresses = |accounts: Vec<Value>| {
        let email = |account: &Value| account["email"].as_str().unwrap().to_owned();
        accounts.iter().map(email).collect::<Vec<_>>()
    };

    let all = list(&[]).await;
    assert_eq!(all[0]["email_verified"], false);
    assert!(all[0]["disabled_at"].is_null() && all[1]["disabled_at"].is_string());
    assert_eq!(addresses(all), [ADA, "bob@example.test", "carol@example.org"]);
    assert_eq!(addresses(list(&["--disabled"]).await), ["bob@example.test"]);
    assert_eq!(addresses(list(&["--enabled"]).await), [ADA, "carol@example.org"]);
    assert_eq!(addresses(list(&["--address", "EXAMPLE.test"]).await), [ADA, "bob@example.test"]);
    let enabled = list(&["--enabled", "--address", "example.test"]).await;
    assert_eq!(addresses(enabled), [ADA]);
    // No character in the search text is a wildcard.
    for part in ["a_a@", "%", "\\"] {
        assert!(list(&["--address", part]).await.is_empty(), "{part}");
    }
    server.sign_up("a_a@example.test").await.expect_status(201);
    assert_eq!(addresses(list(&["--address", "a_a@"]).await), ["a_a@example.test"]);
}

/// A script that does not pass `--yes` deletes no account.
#[tokio::test]
async fn account_delete_asks_for_confirmation() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();

    let message = run_rejected(&server, &["delete", ADA]).await;

    assert!(message.contains("--yes") && message.contains(&ada.user_id.to_string()), "{message}");
    server.me(&ada.access_token).await.expect_status(200);
}
