//! The first start: one of several instances creates the keys.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_util::future::{join, select};
use rustix::process::Signal;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Program, ServerProcess, TestDatabase, TestServer};

async fn key_events(database: &TestDatabase) -> Vec<String> {
    database.column("SELECT type FROM auth_event WHERE type LIKE 'key_%' ORDER BY id").await
}

/// AT-08
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_first_starts_of_two_instances_create_one_key() {
    for round in 0..3 {
        let (one, other) = TestServer::start_two_concurrently().await;

        let [of_one, of_other] = [one.jwks().await, other.jwks().await];

        assert_eq!(of_one["keys"].as_array().unwrap().len(), 1);
        assert_eq!(of_one, of_other);
        assert_eq!(key_events(&one.database).await, ["key_created", "key_activated"]);
        let email = format!("ada{round}@example.test");
        let tokens = one.sign_up(&email).await.tokens();
        other.me(&tokens.access_token).await.expect_status(200);
        let tokens = other.refresh(&tokens.refresh_token).await.tokens();
        one.me(&tokens.access_token).await.expect_status(200);
        let one = one.restart().await;
        one.refresh(&tokens.refresh_token).await.expect_status(200);
    }
}

/// AT-08: as in the test above, but with processes, which share only the database and master key.
#[tokio::test]
async fn concurrent_first_starts_of_two_processes_create_one_key() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database)
        .with("SIGNET_ISSUER", "https://id.example.test")
        .with("SIGNET_AUDIENCE", "https://api.example.test");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    if !database.is_postgres() {
        return start_in_sequence(&database, &program, &http).await;
    }

    let (one, other) = join(program.serve(), program.serve()).await;

    let get = |url: String| Answer::of(http.get(url));
    let [of_one, of_other] = [
        get(one.url("/.well-known/jwks.json")).await.json(),
        get(other.url("/.well-known/jwks.json")).await.json(),
    ];
    assert_eq!(of_one["keys"].as_array().unwrap().len(), 1);
    assert_eq!(of_one, of_other);
    assert_eq!(key_events(&database).await, ["key_created", "key_activated"]);
    let body: Value = json!({ "email": "ada@example.test", "password": PASSWORD });
    let tokens = Answer::of(http.post(one.url("/api/auth/signup")).json(&body)).await.tokens();
    let me = Answer::of(http.get(other.url("/api/auth/me")).bearer_auth(&tokens.access_token));
    me.await.expect_status(200);
    for serving in [one, other] {
        let (status, output) = serving.stop_with(Signal::TERM).await;
        assert!(status.success(), "{output}");
    }
}

/// A SQLite file permits one instance. Of two instances that start concurrently, one waits until
/// the other has exited.
async fn start_in_sequence(database: &TestDatabase, program: &Program, http: &reqwest::Client) {
    let starts = [Box::pin(program.serve()), Box::pin(program.serve())];
    let [one, other] = starts;
    let (first, waiting) = select(one, other).await.factor_first();
    let keys = async |serving: &ServerProcess| {
        Answer::of(http.get(serving.url("/.well-known/jwks.json"))).await.json()
    };
    let published = keys(&first).await;
    let (status, output) = first.stop_with(Signal::TERM).await;
    assert!(status.success(), "{output}");

    let second = waiting.await;

    assert_eq!(published["keys"].as_array().unwrap().len(), 1);
    assert_eq!(keys(&second).await, published);
    assert_eq!(key_events(database).await, ["key_created", "key_activated"]);
}

/// AT-08: SQLite does not wait for locks when it enables its write-ahead log, so Signet does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_start_waits_for_the_write_lock_of_the_new_database() {
    let database = TestDatabase::create().await;
    if database.is_postgres() {
        return;
    }
    let file = database.directory().join("signet.db");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    database.execute("CREATE TABLE another (id INTEGER)").await;
    let writer = database.connect().await.begin().await.unwrap();
    writer.execute_unprepared("INSERT INTO another VALUES (1)").await.unwrap();

    let starting = tokio::spawn(TestServer::start_on(database));
    tokio::time::sleep(Duration::from_millis(300)).await;
    writer.rollback().await.unwrap();

    let server = starting.await.unwrap();
    server.sign_up("ada@example.test").await.expect_status(201);
}

/// AT-08: two containers can have the same process id, and share the directory of the master key.
#[tokio::test]
async fn master_key_draft_files_do_not_collide() {
    let database = TestDatabase::create().await;
    let file = database.master_key_file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let drafts = ["master.new".to_owned(), format!("master.{}.new", std::process::id())];
    for draft in &drafts {
        std::fs::write(file.with_file_name(draft), "another's").unwrap();
    }

    let server = TestServer::start_on(database).await;

    for draft in &drafts {
        let draft = std::fs::read_to_string(file.with_file_name(draft)).unwrap();
        assert_eq!(draft, "another's");
    }
    let entries = std::fs::read_dir(file.parent().unwrap()).unwrap();
    // The master key and the state file.
    assert_eq!(entries.count(), drafts.len() + 2, "a draft was left behind");
    server.sign_up("ada@example.test").await.expect_status(201);
}
