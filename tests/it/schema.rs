//! Migrations: up, down, and refusal of a newer schema.

use rustix::process::Signal;

use crate::harness::{PASSWORD, Program, TestServer};

const MIGRATIONS: usize = 36;

/// A database with data, whose server has been stopped.
async fn stopped_database_with_data() -> (TestServer, Program) {
    let mut server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    server.stop_cleanly().await;
    let program = Program::new(&server.database);
    (server, program)
}

/// Runs `signet migrate …`, and returns its output, one line per migration.
async fn migrate(program: &Program, arguments: &[&str]) -> Vec<String> {
    let output = program.run(&[&["migrate"], arguments].concat()).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The number of applied migrations in such an output.
fn applied(lines: &[String]) -> usize {
    assert_eq!(lines.len(), MIGRATIONS);
    let applied = lines.iter().take_while(|line| line.starts_with("applied")).count();
    assert!(lines[applied..].iter().all(|line| line.starts_with("pending")), "{lines:?}");
    applied
}

/// OP-02: `serve` and `migrate` of an older binary refuse a newer schema.
#[tokio::test]
async fn newer_schema_is_refused_without_writes() {
    let (server, program) = stopped_database_with_data().await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) \
                 VALUES ('m29991231_000001_from_the_future', 1)";
    server.database.execute(newer).await;
    let before = server.database.dump().await;

    let refusal = program.startup_error().await;
    for command in [&["up"][..], &["down"], &["down", "--steps", "9"], &["status"]] {
        let output = program.run(&[&["migrate"], command].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("from_the_future"));
    }

    assert!(refusal.contains("m29991231_000001_from_the_future"), "{refusal}");
    assert_eq!(server.database.dump().await, before);
    let cleanup = "DELETE FROM seaql_migrations WHERE version LIKE '%from_the_future'";
    server.database.execute(cleanup).await;
    program.serve().await.stop_with(Signal::TERM).await;
}

/// Every number of migrations can be reverted and applied again.
#[tokio::test]
async fn migrations_run_down_and_up_with_data() {
    let (server, program) = stopped_database_with_data().await;
    assert_eq!(applied(&migrate(&program, &["status"]).await), MIGRATIONS);

    for steps in 1..=MIGRATIONS {
        let down = migrate(&program, &["down", "--steps", &steps.to_string()]).await;
        let status = migrate(&program, &["status"]).await;
        let up = migrate(&program, &["up"]).await;

        assert_eq!(applied(&down), MIGRATIONS - steps);
        assert_eq!(status, down);
        assert_eq!(applied(&up), MIGRATIONS);
        let accounts = i64::from(steps < MIGRATIONS);
        assert_eq!(server.database.count("account").await, accounts, "{steps} steps");
    }
    assert_eq!(migrate(&program, &["up"]).await.len(), MIGRATIONS);
    // The last step has deleted the keys. The state file still names the database, so the server
    // would refuse to start: an operator must declare the database new.
    assert!(program.run(&["database", "create"]).await.status.success());
    let server = server.restart().await;
    server.sign_up("ada@example.test").await.expect_status(201);
}

/// OP-02: a start migrates an older schema without data loss.
#[tokio::test]
async fn start_migrates_an_older_schema() {
    let (mut server, program) = stopped_database_with_data().await;

    for steps in ["1", "2", "3"] {
        migrate(&program, &["down", "--steps", steps]).await;
        server = server.restart().await;

        server.get("/readyz").await.expect_status(200);
        server.log_in("ada@example.test", PASSWORD).await.expect_status(200);
        server.stop();
    }
}

#[tokio::test]
async fn empty_database_can_be_migrated_before_the_first_start() {
    let database = crate::harness::TestDatabase::create().await;
    let program = Program::new(&database);

    let up = migrate(&program, &["up"]).await;
    migrate(&program, &["down", "--steps", &MIGRATIONS.to_string()]).await;
    let empty = migrate(&program, &["status"]).await;
    migrate(&program, &["up"]).await;

    assert_eq!((applied(&up), applied(&empty)), (MIGRATIONS, 0));
    assert!(!database.master_key_file().exists());
    program.serve().await.stop_with(Signal::TERM).await;
    assert!(database.master_key_file().exists());
}

#[tokio::test]
async fn keys_list_prints_the_published_keys_and_no_secret() {
    let (server, program) = stopped_database_with_data().await;

    let output = program.run(&["keys", "list"]).await;

    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let kids = server.database.column::<String>("SELECT kid FROM signing_key").await;
    let words: Vec<_> = lines.split_whitespace().collect();
    assert_eq!(lines.lines().count(), 1);
    assert_eq!(words[..4], [&kids[0], "RS256", "active", "since"]);
    assert!(words[4].ends_with('Z') && words.len() == 5, "{lines}");
}
