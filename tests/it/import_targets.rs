//! Imports into the source itself, into a new database that shares the state file of another one,
//! and from a database that cannot be read.

use std::process::Output;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::original::Original;
use crate::harness::{Program, TestDatabase};

const IMPORT: [&str; 4] = ["import", "accounts", "--from", "fastapi"];

fn failed(output: &Output) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    message
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn import(program: &Program, arguments: &[&str]) -> Output {
    program.run(&[&IMPORT[..], arguments].concat()).await
}

/// IM-16: the database of the original is not used for Signet's own tables.
#[tokio::test]
async fn source_is_refused_as_target() {
    let original = Original::create().await;
    original.add_users(1, 3).await;
    let url = original.database.url();
    let tables = original.database.dump().await;
    let alias = if original.database.is_postgres() {
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}application_name=signet")
    } else {
        format!("sqlite:{}/./signet.db", original.database.directory().display())
    };
    for target in [url.as_str(), &alias] {
        let program = Program::new(&original.database).with("SIGNET_DATABASE_URL", target);
        for arguments in [vec![url.as_str()], vec!["--dry-run", url.as_str()]] {
            let refusal = failed(&import(&program, &arguments).await);
            assert!(refusal.contains("is the database to import from"), "{refusal}");
            assert!(!refusal.contains("migrate up") && !refusal.contains("chmod"), "{refusal}");
        }
    }
    assert_eq!(original.database.dump().await, tables);
}

/// IM-16: beside another database, a start refuses a new database with imported accounts, but does
/// not report it as empty. After `signet database create` it is served.
#[tokio::test]
async fn new_database_with_imported_accounts_is_served_after_a_command() {
    let (one, new) = (TestDatabase::create().await, TestDatabase::create().await);
    let original = Original::create().await;
    original.add_users(1, 3).await;
    let shared = one.state_file().display().to_string();
    Program::new(&one).serve().await.stop_with(Signal::TERM).await;
    let program = Program::new(&new).with("SIGNET_STATE_FILE", &shared);
    succeeded(&program.run(&["migrate", "up"]).await);
    succeeded(&import(&program, &[&original.database.url()]).await);

    let refusal = program.startup_error().await;
    let created = succeeded(&program.run(&["database", "create"]).await);

    assert!(refusal.contains("the database has accounts, but was never served"), "{refusal}");
    assert!(refusal.contains("signet database create"), "{refusal}");
    assert!(!refusal.contains("empty"), "{refusal}");
    assert_eq!(created, "the first signing key was created; the accounts were kept\n");
    program.serve().await.stop_with(Signal::TERM).await;
    assert_eq!(new.count("account").await, 3);
}

/// IM-16: a PostgreSQL server that refuses connections is reported as such, and at once.
#[tokio::test]
async fn unreachable_source_is_reported_at_once() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    succeeded(&program.run(&["migrate", "up"]).await);
    let began = Instant::now();

    let error = failed(&import(&program, &["postgres://ada@127.0.0.1:1/tasks"]).await);

    assert!(error.contains("Connection refused"), "{error}");
    assert!(!error.contains("pool"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

/// IM-16: an error of PostgreSQL is reported once, without its place in PostgreSQL's source code.
#[tokio::test]
async fn error_of_the_database_is_reported_once() {
    let original = Original::create().await;
    if !original.database.is_postgres() {
        return;
    }
    let view = "CREATE VIEW broken AS SELECT 1 / (length(id::text) - 36) AS id FROM users";
    original.database.execute(view).await;
    original.add_users(1, 1).await;
    let target = TestDatabase::create().await;
    let map = target.directory().join("map.toml");
    std::fs::write(&map, "table = \"broken\"\n").unwrap();
    let program = Program::new(&target);

    let url = original.database.url();
    let error = failed(&import(&program, &["--map", map.to_str().unwrap(), &url]).await);

    assert_eq!(error.matches("division by zero").count(), 1, "{error}");
    for noise in ["at line", "Execution Error", "Query Error", "error returned"] {
        assert!(!error.contains(noise), "{error}");
    }
}

/// IM-16: a column that the table lacks is reported once, not for each row.
#[tokio::test]
async fn missing_column_is_reported_once() {
    let original = Original::create().await;
    original.add_users(1, 20).await;
    let target = TestDatabase::create().await;
    let program = Program::new(&target);
    succeeded(&program.run(&["migrate", "up"]).await);
    let map = target.directory().join("map.toml");
    for (member, column) in [("id", "nr"), ("email", "mail"), ("password_hash", "pw")] {
        std::fs::write(&map, format!("{member} = \"{column}\"\n")).unwrap();

        let url = original.database.url();
        let error = failed(&import(&program, &["--map", map.to_str().unwrap(), &url]).await);

        assert!(error.contains(&format!("the table of users has no column {column}")), "{error}");
        assert!(error.contains(&format!("as `{member}`")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert_eq!(target.count("account").await, 0);
}

/// IM-16: `signet restore --verify` cannot verify a backup of PostgreSQL. It says so, and prints no
/// command that restores the backup.
#[tokio::test]
async fn verify_prints_no_restore_of_postgres() {
    let database = TestDatabase::create().await;
    if !database.is_postgres() {
        return;
    }
    let output = Program::new(&database).run(&["restore", "--verify", "signet.dump"]).await;

    let error = failed(&output);
    assert!(error.contains("only backups of SQLite databases can be verified"), "{error}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(!error.contains("--dbname"), "{error}");
}
