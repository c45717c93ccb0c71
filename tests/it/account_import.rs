//! Import of accounts from the database of the original application: repeated, interrupted, and
//! while users log in.

use std::process::Output;

use futures_util::future::join;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::harness::original::{Original, email, password};
use crate::harness::{PASSWORD, Program, TestServer, eventually};

const USERS: u32 = 1_000;

/// What a repeated import must not change: one text per account, in the order of their ids.
async fn accounts(server: &TestServer) -> Vec<String> {
    let columns =
        "email || ' ' || email_folded || ' ' || coalesce(password_hash, '') || ' ' || created_at";
    server.database.column(&format!("SELECT {columns} FROM account ORDER BY id")).await
}

/// IM-01, IM-03, IM-04: users of the original log in with their old password. A repeated import
/// changes nothing.
#[tokio::test]
async fn users_of_the_original_log_in_after_the_import() {
    let server = TestServer::with(|config| config.limits.attempts_per_minute = 100_000).await;
    let original = Original::create().await;
    original.add_users(1, USERS).await;

    let before = server.database.dump().await;
    let dry = original.import(&server, &["--dry-run"]).await;
    assert_eq!(dry.counts(), [1_000, 0, 0, 0, 0, 0], "{}", dry.stderr);
    assert_eq!(dry.count("bcrypt cost=4, "), 1_000);
    assert_eq!(server.database.dump().await, before, "a dry run writes nothing");

    let imported = original.import(&server, &[]).await;
    assert_eq!(imported.counts(), [1_000, 0, 0, 0, 0, 0], "{}", imported.stderr);
    assert_eq!(imported.status, 0);
    let rows = accounts(&server).await;

    let repeated = original.import(&server, &[]).await;
    assert_eq!(repeated.counts(), [0, 0, 1_000, 0, 0, 0], "{}", repeated.stderr);
    assert_eq!(accounts(&server).await, rows);
    assert_eq!(server.database.count("auth_event WHERE type = 'account_imported'").await, 1_000);

    for number in (1..=USERS).step_by(10) {
        let tokens = server.log_in(&email(number), &password(number)).await.tokens();
        assert_eq!(tokens.user_id.simple().to_string(), format!("{number:032x}"));
    }
    let upgraded = "account WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(server.database.count(upgraded).await, 100);
    let created = server.database.column::<i64>("SELECT created_at FROM account").await;
    assert!(created.iter().all(|at| *at == 1_768_384_800_123_456), "{:?}", created.first());

    let rows = accounts(&server).await;
    let repeated = original.import(&server, &[]).await;
    assert_eq!(repeated.counts(), [0, 0, 900, 100, 0, 0], "{}", repeated.stderr);
    assert_eq!(accounts(&server).await, rows, "logins have changed these accounts");
}

/// IM-04: while both systems run, a repeated import updates an account that changed only in the
/// original. An account that was changed or deleted in Signet stays as it is.
#[tokio::test]
async fn repeated_import_keeps_accounts_that_changed_in_signet() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    original.add_users(1, 6).await;
    original.import(&server, &[]).await;
    let untouched = server.log_in(&email(6), &password(6)).await.tokens();
    server.account_command(&["delete", &email(3)]).await;
    server.account_command(&["disable", &email(4)]).await;
    let reset = json!({ "token": server.reset_token(&email(2)).await, "new_password": PASSWORD });
    server.post("/api/auth/password/reset", &reset).await.expect_status(204);
    let new_hash = bcrypt::hash("Changed-in-the-original-1", 4).unwrap();
    let change = format!("UPDATE users SET hashed_password = '{new_hash}' WHERE email NOT LIKE ");
    original.database.execute(&format!("{change} 'User6%'")).await;
    original.add_users(7, 1).await;

    let repeated = original.import(&server, &[]).await;

    // User 7 is created. Users 1 and 5 are updated. Users 2, 4 and 6 are kept, because they were
    // changed in Signet: the login of user 6 replaced the hash. User 3 was deleted in Signet.
    assert_eq!(repeated.counts(), [1, 2, 0, 3, 1, 0], "{}{}", repeated.stdout, repeated.stderr);
    assert_eq!(repeated.status, 0);
    for number in [2, 4] {
        let line = format!("{number:032x}: kept as it is, because the account was changed here");
        // Ids from PostgreSQL have hyphens, so only their end is compared.
        let line = if server.database.is_postgres() { line[28..].to_owned() } else { line };
        assert!(repeated.stderr.contains(&line), "{line} {}", repeated.stderr);
    }
    assert!(repeated.stderr.contains("not imported again, because the account was deleted here"));
    server.log_in(&email(1), "Changed-in-the-original-1").await.expect_status(200);
    server.log_in(&email(1), &password(1)).await.expect_error(401, "AUTH_FAILED");
    server.log_in(&email(2), PASSWORD).await.expect_status(200);
    for number in [3, 4] {
        for password in [&password(number), "Changed-in-the-original-1"] {
            server.log_in(&email(number), password).await.expect_error(401, "AUTH_FAILED");
        }
    }
    server.me(&untouched.access_token).await.expect_status(200);
    server.log_in(&email(7), &password(7)).await.expect_status(200);
}

/// IM-10: a repeated import ends the sessions of an account if its password was changed, or if it
/// was disabled, in the original.
#[tokio::test]
async fn change_by_a_repeated_import_ends_sessions() {
    let server = TestServer::start().await;
    let hash = server_hash(&server).await;
    let record = |id: &str, hash: &str, disabled: bool| {
        json!({ "id": id, "email": format!("a{id}@example.test"), "password_hash": hash,
                "disabled": disabled })
        .to_string()
    };
    let first = [record("1", &hash, false), record("2", &hash, false), record("3", &hash, false)];
    let other = bcrypt::hash("Other-Password-1", 4).unwrap();
    let second = [record("1", &other, false), record("2", &hash, true), record("3", &hash, false)];
    server.import_text("ndjson", "first.ndjson", &first.join("\n")).await;
    // A login does not replace a hash that is current, so these accounts count as unchanged.
    let mut tokens = Vec::new();
    for id in 1..=3 {
        tokens.push(server.log_in(&format!("a{id}@example.test"), PASSWORD).await.tokens());
    }

    let repeated = server.import_text("ndjson", "second.ndjson", &second.join("\n")).await;

    assert_eq!(repeated.counts(), [0, 2, 1, 0, 0, 0], "{}", repeated.stderr);
    for tokens in &tokens[..2] {
        server.me(&tokens.access_token).await.expect_error(401, "UNAUTHORIZED");
        let refused = server.refresh(&tokens.refresh_token).await;
        refused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }
    server.me(&tokens[2].access_token).await.expect_status(200);
    server.log_in("a1@example.test", "Other-Password-1").await.expect_status(200);
    server.log_in("a2@example.test", PASSWORD).await.expect_error(401, "AUTH_FAILED");
}

/// A hash that this server computed.
async fn server_hash(server: &TestServer) -> String {
    server.sign_up("hash@example.test").await.expect_status(201);
    server.database.column("SELECT password_hash FROM account").await.remove(0)
}

/// IM-06: an address that is verified in the source counts as verified only on request. An import
/// never takes a verification away.
#[tokio::test]
async fn addresses_are_verified_only_on_request() {
    let server = TestServer::start().await;
    let text =
        json!({ "id": "1", "email": "ada@example.test", "email_verified": true }).to_string();
    let path = server.file("accounts.ndjson", &text);
    let path = path.to_str().unwrap();
    let verified = "account WHERE email_verified_at IS NOT NULL";

    server.import("ndjson", &[path]).await;
    assert_eq!(server.database.count(verified).await, 0);
    let trusted = server.import("ndjson", &["--trust-verified", path]).await;
    assert_eq!(trusted.counts(), [0, 1, 0, 0, 0, 0]);
    assert_eq!(server.database.count(verified).await, 1);
    let untrusted = server.import("ndjson", &[path]).await;
    assert_eq!(untrusted.counts(), [0, 0, 1, 0, 0, 0]);
    assert_eq!(server.database.count(verified).await, 1);
}

/// IM-07: an import that is killed or interrupted leaves whole accounts, and can be repeated.
#[tokio::test]
async fn killed_import_continues_where_it_stopped() {
    let killed = stop_and_repeat_import(Signal::KILL).await;
    assert_eq!(killed.status.code(), None, "it was killed");
}

#[tokio::test]
async fn interrupted_import_says_how_to_continue() {
    for signal in [Signal::INT, Signal::TERM] {
        let interrupted = stop_and_repeat_import(signal).await;
        assert_eq!(interrupted.status.code(), Some(1));
        let stderr = String::from_utf8(interrupted.stderr).unwrap();
        assert!(stderr.contains("error: interrupted"), "{stderr}");
        assert!(stderr.contains("repeat the command"), "{stderr}");
    }
}

async fn stop_and_repeat_import(signal: Signal) -> Output {
    let server = TestServer::start().await;
    let original = Original::create().await;
    original.add_users(1, 3_000).await;
    let program = Program::new(&server.database);
    let url = original.database.url();

    let killing = async {
        eventually("a portion is written", async || server.database.count("account").await > 0)
            .await;
        let pids = std::fs::read_to_string(server.database.directory().join("pid")).unwrap();
        let pid = Pid::from_raw(pids.trim().parse().unwrap()).unwrap();
        let _ = kill_process(pid, signal);
    };
    let script = format!("echo $$ >pid; exec \"$0\" import accounts --from fastapi '{url}'");
    let (output, ()) = join(program.run_script(&script), killing).await;

    let written = server.database.count("account").await;
    assert!(0 < written && written < 3_000, "{written}");
    for table in ["imported_account", "auth_event WHERE type = 'account_imported'"] {
        assert_eq!(server.database.count(table).await, written, "{table}");
    }
    let repeated = original.import(&server, &[]).await;
    let written = u64::try_from(written).unwrap();
    assert_eq!(repeated.counts(), [3_000 - written, 0, written, 0, 0, 0], "{}", repeated.stderr);
    assert_eq!(repeated.count("records:"), 3_000);
    assert_eq!(server.database.count("account").await, 3_000);
    assert_eq!(server.database.count("auth_event WHERE type = 'account_imported'").await, 3_000);
    output
}

/// IM-08: logins continue during an import.
#[tokio::test]
async fn logins_succeed_during_an_import() {
    let server =
        TestServer::with(|config| config.limits.account_attempts_per_minute = 10_000).await;
    server.sign_up("ada@example.test").await.expect_status(201);
    let line =
        |number: u32| json!({ "id": number.to_string(), "email": email(number) }).to_string();
    let lines: Vec<String> = (0..4_000).map(line).collect();
    let path = server.file("accounts.ndjson", lines.join("\n"));

    let arguments = [path.to_str().unwrap()];
    let importing = server.import("ndjson", &arguments);
    let logging_in = async {
        eventually("a portion is written", async || server.database.count("account").await > 1)
            .await;
        let mut logins = 0;
        while server.database.count("account").await < 4_000 {
            server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
            logins += 1;
        }
        logins
    };
    let (imported, logins) = join(importing, logging_in).await;

    assert_eq!(imported.counts(), [4_000, 0, 0, 0, 0, 0], "{}", imported.stderr);
    assert!(logins > 0, "the import ended before a login");
}

/// A source with a password is given as a variable, which other users of the host cannot see.
#[tokio::test]
async fn source_may_be_given_as_a_variable() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    original.add_users(1, 1).await;
    let program = Program::new(&server.database);
    let program = program.with("SIGNET_IMPORT_SOURCE", &original.database.url());

    let imported = program.run(&["import", "accounts", "--from", "fastapi"]).await;
    // The variable stays set in the operator's shell.
    let other = program.run(&["account", "list"]).await;

    assert!(imported.status.success(), "{imported:?}");
    assert!(other.status.success(), "{other:?}");
    assert_eq!(server.database.count("account").await, 1);
}

/// Mistakes in the source are reported, and passwords in it are not.
#[tokio::test]
async fn source_that_cannot_be_read_is_reported_without_its_password() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    let url = original.database.url();
    let map = server.file("map.toml", "table = 'people'");

    for (arguments, message) in [
        (&["postgres://a:canary-4f1c@127.0.0.1:1/x"][..], "cannot connect to the database"),
        (&["mysql://a:canary-4f1c@127.0.0.1/x"], "must start with sqlite: or postgres:"),
        (&["sqlite:missing.db"], "there is no database file missing.db"),
        (&["--map", map.to_str().unwrap(), &url], "there is no table people"),
        (&["--map", "missing.toml", &url], "cannot read missing.toml"),
    ] {
        let refused = server.import("fastapi", arguments).await;

        assert_eq!(refused.status, 1, "{message}");
        assert!(refused.stderr.contains(message), "{message}: {}", refused.stderr);
        assert!(!refused.stderr.contains("canary-4f1c"), "{}", refused.stderr);
    }
    assert!(!server.database.directory().join("missing.db").exists());
}
