//! What operators do to accounts by hand.

use futures_util::future::{join, join_all};

use crate::harness::{Answer, PASSWORD, Program, TestServer};

const ADA: &str = "ada@example.test";

async fn refused(server: &TestServer, arguments: &[&str]) -> String {
    let output = Program::new(&server.database).run(&[&["account"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// SS-12: switched off means off at once: sessions, refreshes and logins.
#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_comes_back_without_its_sessions() {
    let server = TestServer::start().await;
    let tokens = [server.sign_up(ADA).await.tokens(), server.log_in(ADA, PASSWORD).await.tokens()];
    let bob = server.sign_up("bob@example.test").await.tokens();

    let printed = server.account_command(&["disable", "ADA@example.test"]).await;

    assert_eq!(printed, "disabled; 2 sessions ended\n");
    let assert_out = async || {
        for tokens in &tokens {
            server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
            server.sessions(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
            let refused = server.refresh(&tokens.refresh_token).await;
            refused.expect_error(401, "INVALID_REFRESH_TOKEN");
        }
    };
    assert_out().await;
    server.log_in(ADA, PASSWORD).await.expect_error(401, "AUTH_FAILED");
    server.refresh(&bob.refresh_token).await.expect_status(200);

    assert_eq!(server.account_command(&["enable", ADA]).await, "enabled\n");

    assert_out().await;
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// AU-01: each is one event, and doing it twice is none more.
#[tokio::test]
async fn what_an_operator_does_is_on_record_once() {
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
    let told = "SELECT type FROM auth_event WHERE reason = 'by the operator' ORDER BY id";
    assert_eq!(
        server.database.column::<String>(told).await,
        ["account_disabled", "account_enabled", "session_revoked", "account_deleted"]
    );
}

#[tokio::test]
async fn sessions_that_an_operator_ended_are_over_and_the_owner_logs_in_again() {
    let server = TestServer::start().await;
    let mine = server.sign_up(ADA).await.tokens();

    server.account_command(&["end-sessions", ADA]).await;

    server.me(&mine.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&mine.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    server.log_in(ADA, PASSWORD).await.expect_status(200);
}

/// ID-06
#[tokio::test]
async fn an_account_that_an_operator_deleted_is_gone() {
    let server = TestServer::start().await;
    let before = server.sign_up(ADA).await.tokens();

    assert_eq!(server.account_command(&["delete", ADA]).await, "deleted\n");

    server.me(&before.access_token).await.expect_error(401, "UNAUTHORIZED");
    server.refresh(&before.refresh_token).await.expect_error(401, "INVALID_REFRESH_TOKEN");
    assert_ne!(server.sign_up(ADA).await.tokens().user_id, before.user_id);
    assert_eq!(server.database.count("session").await, 1);
}

#[tokio::test]
async fn the_list_and_the_view_of_accounts_say_what_is_known_and_no_secret() {
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
    for part in [ada.user_id.to_string(), TestServer::session_of(&ada.access_token)] {
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

/// A list of many accounts holds each of them once.
#[tokio::test]
async fn the_list_of_accounts_is_whole_however_many_there_are() {
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
async fn an_address_that_nobody_has_is_an_error() {
    let server = TestServer::start().await;

    for command in ["show", "disable", "enable", "delete", "end-sessions", "reset-password"] {
        let said = refused(&server, &[command, "nobody@example.test"]).await;
        assert!(said.contains("there is no account with this address"), "{command}: {said}");
        let said = refused(&server, &[command, "nobody"]).await;
        assert!(said.contains("the address must contain exactly one @"), "{command}: {said}");
    }
}

/// SS-12, AT-10: nothing is granted to an account behind its being switched off.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_under_way_outlives_a_disabling() {
    let server = TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        config.passwords.hash_backlog_seconds = 60;
    })
    .await;
    let mine = server.sign_up(ADA).await.tokens();
    server.database.delay_after_inserts_into("session").await;

    let racing = (0..20).map(async |n: u32| {
        if n.is_multiple_of(4) {
            server.refresh(&mine.refresh_token).await
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
