//! `signet database copy`. On SQLite the tests copy from file to file, on PostgreSQL to a SQLite
//! file and back.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use rustix::process::Signal;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::oauth::{Browser, WEB_CLIENT};
use crate::harness::{PASSWORD, Program, TestDatabase, TestServer, Tokens, eventually};

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The error message of a command that failed.
fn failed(output: &Output) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    message
}

/// The URL of a SQLite file in the directory of the database.
fn sqlite_url(database: &TestDatabase) -> String {
    format!("sqlite:{}", database.directory().join("copy.db").display())
}

/// A stopped server, whose database has a row in every table except `database_copy`.
async fn stopped_with_data() -> (TestServer, Tokens) {
    let mut server = TestServer::start().await;
    let web = server.register_clients(WEB_CLIENT).await.remove(0);
    let ada = server.sign_up("ada@example.test").await.tokens();
    let ended = server.log_in("ada@example.test", PASSWORD).await.tokens();
    server.log_out(&ended.access_token).await.expect_status(200);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code("ada@example.test", &[("scope", "openid email")]).await;
    server.redeem(&web, &code).await.expect_status(200);
    server.stop_cleanly().await;
    fill_all_tables(&server.database).await;
    (server, ada)
}

/// Inserts rows with extreme values, and rows into the tables that would otherwise be empty.
async fn fill_all_tables(database: &TestDatabase) {
    let postgres = database.is_postgres();
    let blob = |hex: &str| {
        if postgres { format!("'\\x{hex}'::bytea") } else { format!("X'{hex}'") }
    };
    let id = |hex: &str| {
        if postgres { format!("'{hex}'::uuid") } else { format!("X'{}'", hex.replace('-', "")) }
    };
    let instance = id("00000000-0000-7000-8000-00000000ff00");
    let client = "(SELECT id FROM client LIMIT 1)";
    let (most, least) = (i64::MAX, i64::MIN + 1);
    let hash = blob("00fd");
    for sql in [
        format!("INSERT INTO outage VALUES ({instance}, {least}, NULL, TRUE)"),
        format!("INSERT INTO outage VALUES ({instance}, {most}, {most}, FALSE)"),
        format!("INSERT INTO instance (id, beat_at) VALUES ({instance}, 1)"),
        format!(
            "INSERT INTO attempt (key, hits, under_way, refused_at, expires_at) VALUES \
             ({}, '[9007199254740993,1]', NULL, NULL, {most}), \
             ({}, '[]', '[{least}]', 0, 1)",
            blob("00ff0000"),
            blob("00"),
        ),
        format!(
            "INSERT INTO invite \
             (id, digest, email, email_folded, created_at, expires_at, mailed_at) \
             VALUES ({instance}, {}, 'bob@example.test', 'bob@example.test', {least}, {most}, NULL)",
            blob("00ff"),
        ),
        format!("INSERT INTO email_challenge VALUES ({instance}, '', {hash}, 1, '', '', {hash})"),
        format!("INSERT INTO imported_account VALUES ({instance}, 'ndjson', {}, 1)", blob("00fe")),
        format!("INSERT INTO used_assertion (digest, expires_at) VALUES ({}, 5)", blob("00")),
        format!(
            "INSERT INTO outbox (kind, id, receiver, payload, attempts, due_at, created_at) VALUES \
             ('logout_notice', {instance}, 'a \u{1f600} ''quoted'' text', \
              '{{\"a\":\"\",\"b\":{{\"\u{e4}\":[null,true,-1]}}}}', 2, 3, 4)"
        ),
        format!(
            "INSERT INTO logout_notice \
             (session_id, account_id, client_id, attempts, due_at, created_at) \
             VALUES ({instance}, {instance}, {client}, 1, 2, 3)"
        ),
        format!(
            "INSERT INTO pending_authorization \
             (digest, browser_digest, client_id, request, created_at, expires_at, account_id) \
             VALUES ({}, {}, {client}, '{{}}', 1, 2, NULL)",
            blob("01"),
            blob("02"),
        ),
        format!(
            "INSERT INTO consent (account_id, client_id, scope, granted_at, access, claims) SELECT \
             id, {client}, 'openid', {most}, '{{\"https://api.example.test\":\"tasks:read\"}}', NULL \
             FROM account"
        ),
        // The instance that is inserted above must not count as running.
        "UPDATE lease SET expires_at = 1".to_owned(),
    ] {
        database.execute(&sql).await;
    }
}

/// F30: after a copy there and back all rows are the same, and the copy continues where the source
/// stopped: sessions, refresh tokens, keys and status lists.
#[tokio::test]
async fn copy_there_and_back_is_equal() {
    let (mut server, ada) = Box::pin(stopped_with_data()).await;
    let source = Arc::clone(&server.database);
    let last = TestDatabase::create().await;
    let before = source.dump().await;
    for table in source.tables().await.iter().filter(|table| *table != "database_copy") {
        assert!(source.count(table).await > 0, "{table} is empty, so its copy is not tested");
    }
    let copy = sqlite_url(&source);
    let of_copy = Program::new(&source).with("SIGNET_DATABASE_URL", &copy);

    let printed = succeeded(&Program::new(&source).run(&["database", "copy", "--to", &copy]).await);
    let back = of_copy.clone().with("SIGNET_TARGET_DATABASE_URL", &last.url());
    succeeded(&back.run(&["database", "copy"]).await);

    let copied = printed.lines().filter_map(|line| line.split_once(": ").map(|(table, _)| table));
    let mut copied: Vec<_> = copied.map(str::to_owned).collect();
    copied.extend(["database_copy".to_owned(), "seaql_migrations".to_owned()]);
    copied.sort();
    let mut tables = source.tables().await;
    tables.sort();
    assert_eq!(copied, tables);
    let after = last.dump().await;
    for (column, cells) in &before {
        if column.0 != "seaql_migrations" {
            assert_eq!(after.get(column), Some(cells), "{column:?}");
        }
    }
    assert_eq!(before.len(), after.len());

    let refusal = Program::new(&source).startup_error().await;
    assert!(refusal.contains("was moved to") && refusal.contains(&copy), "{refusal}");
    assert!(of_copy.startup_error().await.contains("was moved to"));
    server.config.database.database_url = last.url().parse().unwrap();
    let server = server.restart().await;
    let new = server.refresh(&ada.refresh_token).await.tokens();
    server.me(&new.access_token).await.expect_status(200);
    server.me(&ada.access_token).await.expect_status(200);
}

/// `--undo` removes the mark of the source, which is then served again, unless the target was
/// served.
#[tokio::test]
async fn moved_source_is_refused_until_undo() {
    let mut server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    server.stop_cleanly().await;
    let database = Arc::clone(&server.database);
    let program = Program::new(&database);
    let copy = sqlite_url(&database);
    assert!(failed(&program.run(&["database", "copy", "--undo"]).await).contains("not marked"));
    succeeded(&program.run(&["database", "copy", "--to", &copy]).await);

    for arguments in [
        &["account", "disable", "ada@example.test"][..],
        &["keys", "rotate"],
        &["migrate", "up"],
        &["migrate", "down"],
        &["restored"],
        &["database", "copy", "--to", &copy],
    ] {
        let message = failed(&program.run(arguments).await);
        assert!(message.contains("was moved to"), "{arguments:?}: {message}");
    }
    if !database.is_postgres() {
        let (file, backup) = (database.directory().join("signet.db"), copy.clone() + ".backup");
        for arguments in [
            &["backup", backup.strip_prefix("sqlite:").unwrap()][..],
            &["restore", "--verify", file.to_str().unwrap()],
        ] {
            let message = failed(&program.run(arguments).await);
            assert!(message.contains("was moved to"), "{arguments:?}: {message}");
        }
    }
    succeeded(&program.run(&["database", "copy", "--undo"]).await);
    program.serve().await.stop_with(Signal::TERM).await;

    std::fs::remove_file(copy.strip_prefix("sqlite:").unwrap()).unwrap();
    succeeded(&program.run(&["database", "copy", "--to", &copy]).await);
    let target = program.clone().with("SIGNET_DATABASE_URL", &copy);
    target.serve().await.stop_with(Signal::TERM).await;
    target.serve().await.stop_with(Signal::TERM).await;
    succeeded(&program.run(&["database", "copy", "--undo"]).await);
    let refusal = program.startup_error().await;
    assert!(refusal.contains("older than the one that was served before"), "{refusal}");
}

#[tokio::test]
async fn copy_refuses_a_server_and_a_target_with_tables() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    let serving = program.serve().await;
    let copy = sqlite_url(&database);

    let served = failed(&program.run(&["database", "copy", "--to", &copy]).await);
    serving.stop_with(Signal::KILL).await;
    if database.is_postgres() {
        // The lock of a SQLite file ends with the process.
        let killed = failed(&program.run(&["database", "copy", "--to", &copy]).await);
        assert!(killed.contains("a server uses the database"), "{killed}");
    }
    program.serve().await.stop_with(Signal::TERM).await;
    let itself = failed(&program.run(&["database", "copy", "--to", &database.url()]).await);
    let used = TestDatabase::create().await;
    if !used.is_postgres() {
        let file = used.directory().join("signet.db");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    used.execute("CREATE TABLE other (id INTEGER)").await;
    let copy_to_used =
        async || failed(&program.run(&["database", "copy", "--to", &used.url()]).await);
    // On PostgreSQL, the killed instance of Signet still counts for ten seconds.
    eventually("the killed instance no longer counts", async || {
        !copy_to_used().await.contains("a server uses the database")
    })
    .await;
    let not_empty = copy_to_used().await;
    let nowhere =
        program.clone().with("SIGNET_TARGET_DATABASE_URL", "postgres://a:s3cret@127.0.0.1:1/x");
    let unreachable = failed(&nowhere.run(&["database", "copy"]).await);
    let wrong = program.clone().with("SIGNET_TARGET_DATABASE_URL", "mysql://a:s3cret@h/x");
    let wrong = wrong.run(&["database", "copy"]).await;

    assert!(served.contains("a server uses the database"), "{served}");
    assert!(itself.contains("not empty") || itself.contains("a server uses"), "{itself}");
    assert!(not_empty.contains("not empty"), "{not_empty}");
    assert!(
        unreachable.contains("cannot open the database postgres://a@127.0.0.1:1/x"),
        "{unreachable}"
    );
    let wrong = String::from_utf8(wrong.stderr).unwrap();
    assert!(!(unreachable + &wrong).contains("s3cret"), "{wrong}");
    program.serve().await.stop_with(Signal::TERM).await;
}

/// F30: a killed copy is not served, and the next one replaces it. The source stays as it is.
#[tokio::test]
async fn interrupted_copy_is_not_served() {
    let mut server = TestServer::start().await;
    let ada = server.sign_up("ada@example.test").await.tokens();
    server.stop_cleanly().await;
    let database = Arc::clone(&server.database);
    let program = Program::new(&database);
    let target = TestDatabase::create().await;
    let url = target.url();
    fill_events(&database, 30_000).await;
    let copying = format!("timeout -s KILL 0.7 \"$0\" database copy --to '{url}'");
    program.run_script(&copying).await;
    if target.tables().await.is_empty() {
        succeeded(&program.run(&["database", "copy", "--to", &url]).await);
    }
    // The copy may have been complete before the kill. From here on, the target is in the state
    // that an interrupted copy leaves.
    program.run(&["database", "copy", "--undo"]).await;
    target.execute("DELETE FROM database_copy").await;
    target.execute("INSERT INTO database_copy VALUES ('incomplete', 'sqlite:/there', 1)").await;
    target.execute("DELETE FROM account").await;

    let at_target = program.clone().with("SIGNET_DATABASE_URL", &url);
    let refusal = at_target.startup_error().await;
    let command = failed(&at_target.run(&["account", "list"]).await);
    program.serve().await.stop_with(Signal::TERM).await;
    succeeded(&program.run(&["database", "copy", "--to", &url]).await);

    for message in [refusal, command] {
        assert!(message.contains("incomplete copy of sqlite:/there"), "{message}");
    }
    assert_eq!(target.count("auth_event").await, database.count("auth_event").await);
    server.config.database.database_url = url.parse().unwrap();
    let server = server.restart().await;
    server.refresh(&ada.refresh_token).await.expect_status(200);
}

/// A command that waits while its database is copied fails afterwards, and writes nothing to it.
#[tokio::test]
async fn command_that_waits_for_a_copy_writes_nothing() {
    let mut server = TestServer::start().await;
    server.sign_up("ada@example.test").await.expect_status(201);
    server.stop_cleanly().await;
    let database = Arc::clone(&server.database);
    let events = database.count("auth_event").await;
    // As a copy does: it locks the tables first, and sets the mark last.
    let copying = database.connect().await.begin().await.unwrap();
    if database.is_postgres() {
        let lock = "LOCK TABLE database_copy, account, auth_event IN SHARE ROW EXCLUSIVE MODE";
        copying.execute_unprepared(lock).await.unwrap();
    } else {
        copying.execute_unprepared("DELETE FROM database_copy").await.unwrap();
    }

    let program = Program::new(&database);
    let disabling = program.run(&["account", "disable", "ada@example.test"]);
    let marking = async {
        if database.is_postgres() {
            database.wait_for_connections(1, "wait_event_type = 'Lock'").await;
        } else {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let mark = "INSERT INTO database_copy VALUES ('moved', 'sqlite:/there', 1)";
        copying.execute_unprepared(mark).await.unwrap();
        copying.commit().await.unwrap();
    };
    let (output, ()) = join(disabling, marking).await;

    let message = failed(&output);
    assert!(message.contains("sqlite:/there by `signet database copy`"), "{message}");
    assert_eq!(database.count("account WHERE disabled_at IS NOT NULL").await, 0);
    assert_eq!(database.count("auth_event").await, events);
}

/// Adds rows to the audit log.
async fn fill_events(database: &TestDatabase, number: u32) {
    let id = if database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) \
         INSERT INTO auth_event (id, type, outcome, at) SELECT {id}, 'login', 'success', i FROM n"
    );
    database.execute(&sql).await;
}
