//! Only one server can use a SQLite file at a time.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, Program, ServerProcess, TestDatabase};

async fn sign_up(serving: &ServerProcess, email: &str) -> Answer {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "email": email, "password": PASSWORD });
    Answer::of(http.post(serving.url("/api/auth/signup")).json(&body)).await
}

/// W17: a second server waits for the first, and then exits with an error. Commands work while the
/// first server is running. PostgreSQL permits any number of instances.
#[tokio::test]
async fn second_server_on_one_sqlite_file_refuses_to_start() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    let first = program.serve().await;
    sign_up(&first, "ada@example.test").await.expect_status(201);
    let second = program.clone().with("SIGNET_DRAIN_SECONDS", "1");

    if database.is_postgres() {
        let second = second.serve().await;
        sign_up(&second, "eve@example.test").await.expect_status(201);
        return;
    }
    let output = second.run(&["serve"]).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    let log = String::from_utf8(output.stdout).unwrap();

    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("signet.db in use"), "{stderr}");
    assert!(stderr.contains("SIGNET_DRAIN_SECONDS") && stderr.contains("PostgreSQL"), "{stderr}");
    assert_eq!((log + &stderr).matches("waiting for its end").count(), 1);
    sign_up(&first, "bob@example.test").await.expect_status(201);
    let listed = program.run(&["account", "list"]).await;
    assert!(listed.status.success(), "{listed:?}");
    assert_eq!(database.count("outage").await, 0, "the first server did not crash");
}

/// W17: a new server can replace a running one. It waits and starts when the running one exits.
#[tokio::test]
async fn second_server_takes_over_when_the_first_exits() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    let first = program.serve().await;
    let waiting = tokio::spawn({
        let program = program.clone();
        async move { program.serve().await }
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(waiting.is_finished(), database.is_postgres());

    let (status, _) = first.stop_with(Signal::TERM).await;
    let second = waiting.await.unwrap();

    assert_eq!(status.code(), Some(0));
    sign_up(&second, "ada@example.test").await.expect_status(201);
    let (status, printed) = second.stop_with(Signal::TERM).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(printed.contains("waiting for its end"), !database.is_postgres(), "{printed}");
}

/// W17: the operating system releases the lock of a killed process. The lock file that remains has
/// no effect.
#[tokio::test]
async fn killed_server_leaves_no_lock() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database).with("SIGNET_DRAIN_SECONDS", "0");
    for _ in 0..2 {
        program.serve().await.stop_with(Signal::KILL).await;
    }

    let serving = program.serve().await;

    sign_up(&serving, "ada@example.test").await.expect_status(201);
    let has_lock_file = database.directory().join("signet.db-lock").exists();
    assert_eq!(has_lock_file, !database.is_postgres());
}

/// W17: a waiting server exits at once on a signal.
#[tokio::test]
async fn waiting_server_exits_on_a_signal() {
    let database = TestDatabase::create().await;
    if database.is_postgres() {
        return; // A second server on PostgreSQL does not wait.
    }
    let program = Program::new(&database).with("SIGNET_DRAIN_SECONDS", "600");
    let _first = program.serve().await;

    let output = program.run_script("timeout --preserve-status -s TERM 2 \"$0\" serve").await;

    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// SQLite uses one write-ahead log per file name, so access by two names would corrupt the file.
#[tokio::test]
async fn database_file_with_hard_links_is_refused() {
    let database = TestDatabase::create().await;
    if database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    program.serve().await.stop_with(Signal::TERM).await;
    let (file, other) =
        (database.directory().join("signet.db"), database.directory().join("other.db"));
    std::fs::hard_link(&file, &other).unwrap();

    let refusal = program.startup_error().await;

    assert!(refusal.contains("has hard links"), "{refusal}");
    std::fs::remove_file(other).unwrap();
    program.serve().await.stop_with(Signal::TERM).await;
}

/// W10: the clock was ahead when the server was killed, and was corrected before the next start.
/// The outage is still recorded, with the correct time.
#[tokio::test]
async fn crash_while_the_clock_was_ahead_is_recorded_as_an_outage() {
    let database = TestDatabase::create().await;
    if database.is_postgres() {
        return;
    }
    let program = Program::new(&database);
    program.serve().await.stop_with(Signal::KILL).await;
    database.execute("UPDATE database_state SET served_at = served_at + 86400000000").await;

    program.serve().await.stop_with(Signal::TERM).await;

    let is_past = "outage WHERE began_at <= ended_at AND ended_at <= \
                   CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + 1000000";
    assert_eq!((database.count("outage").await, database.count(is_past).await), (1, 1));
}
