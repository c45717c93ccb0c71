//! Several runs of one import: at the same time, and with the same report.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::harness::TestServer;
use crate::harness::original::Original;

fn line(number: u32) -> String {
    json!({ "id": number.to_string(), "email": format!("a{number}@example.test") }).to_string()
}

/// IM-17: an account is changed to its record, although an earlier record has another spelling of its
/// address.
#[tokio::test]
async fn record_of_an_account_prevails_over_another_spelling_of_its_address() {
    let server = TestServer::start().await;
    let record = |id: &str, email: &str, verified: bool| {
        json!({ "id": id, "email": email, "email_verified": verified }).to_string()
    };
    let lines = [record("2", "pair@example.test", false), record("3", "Pair@Example.test", false)];
    let path = server.file("accounts.ndjson", lines.join("\n"));
    let path = path.to_str().unwrap().to_owned();
    let first = server.import("ndjson", &[&path]).await;
    assert_eq!(first.counts(), [1, 0, 0, 0, 0, 1]);
    assert!(first.stderr.contains("an earlier record has the same email address"));

    let lines = [record("1", "PAIR@example.test", true), record("2", "pair@example.test", true)];
    server.file("accounts.ndjson", lines.join("\n"));
    let second = server.import("ndjson", &[&path, "--trust-verified"]).await;

    assert_eq!(second.counts(), [0, 1, 0, 0, 0, 1], "{}{}", second.stdout, second.stderr);
    assert!(second.stderr.contains("the email address belongs to the account"));
    assert_eq!(server.database.count("account WHERE email_verified_at IS NOT NULL").await, 1);
}

/// IM-17: which of two rows with one address is imported does not change when a row is updated.
#[tokio::test]
async fn rows_are_read_in_the_order_of_the_primary_key() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    for (id, email) in [(2, "Pair@example.test"), (1, "pair@example.test")] {
        let row = format!("INSERT INTO users VALUES ('{id:032x}', '{email}', 'x', NULL, NULL)");
        original.database.execute(&row).await;
    }
    let before = original.import(&server, &["--dry-run"]).await;

    original.database.execute("UPDATE users SET created_at = '2026-01-14 10:00:00'").await;
    let of_first = format!("id = '{:032x}'", 1);
    let update = format!("UPDATE users SET last_login = '2026-01-15 10:00:00' WHERE {of_first}");
    original.database.execute(&update).await;
    let after = original.import(&server, &["--dry-run"]).await;

    assert_eq!(before.counts(), [1, 0, 0, 0, 0, 1]);
    assert_eq!((before.stdout, before.stderr), (after.stdout, after.stderr));
}

/// IM-13: if several imports of one source run at the same time, each account is created by one of
/// them, and is unchanged for the others.
#[tokio::test]
async fn imports_at_the_same_time_create_each_account_once() {
    let server = TestServer::start().await;
    // The order of their reads and writes differs in each round.
    for round in 0..3 {
        let lines: Vec<String> = (0..3_000).map(|number| line(round * 10_000 + number)).collect();
        let path = server.file("accounts.ndjson", lines.join("\n"));
        let arguments = [path.to_str().unwrap()];

        let imports = (0..4).map(|_| server.import("ndjson", &arguments));
        let imports = join_all(imports).await;

        for imported in &imports {
            let [created, changed, unchanged, kept, deleted, refused] = imported.counts();
            assert_eq!(created + unchanged, 3_000, "{}{}", imported.stdout, imported.stderr);
            assert_eq!([changed, kept, deleted, refused], [0; 4], "{}", imported.stdout);
            assert_eq!((imported.status, imported.stderr.as_str()), (0, ""));
        }
        let created = imports.iter().map(|imported| imported.count("created"));
        assert_eq!(created.sum::<u64>(), 3_000);
    }
    assert_eq!(server.database.count("account").await, 9_000);
    assert_eq!(server.database.count("auth_event WHERE type = 'account_imported'").await, 9_000);
}

/// IM-13: an account that another import creates between the reads of an import is not taken for a
/// deleted one.
#[tokio::test]
async fn account_that_appears_during_the_comparison_is_unchanged() {
    let server = TestServer::start().await;
    let database = &server.database;
    if !database.is_postgres() {
        return; // Reads of SQLite do not wait for locks, so nothing can be inserted between two.
    }
    let path = server.file("accounts.ndjson", line(1));
    let arguments = [path.to_str().unwrap()];
    server.import("ndjson", &arguments).await;
    for table in ["account", "imported_account"] {
        database.execute(&format!("CREATE TABLE copy_of_{table} AS SELECT * FROM {table}")).await;
        database.execute(&format!("DELETE FROM {table}")).await;
    }
    let other_import = async {
        let other = database.connect().await.begin().await.unwrap();
        let run = async |sql: &str| other.execute_unprepared(sql).await.unwrap();
        run("LOCK TABLE imported_account").await;
        let waits = "wait_event_type = 'Lock' AND query LIKE 'SELECT%imported_account%'";
        database.wait_for_connections(1, waits).await;
        for table in ["account", "imported_account"] {
            run(&format!("INSERT INTO {table} SELECT * FROM copy_of_{table}")).await;
        }
        other.commit().await.unwrap();
    };

    let importing = async {
        // The lock must be held before the import reads.
        database.wait_for_connections(1, "query LIKE 'LOCK TABLE%'").await;
        server.import("ndjson", &arguments).await
    };
    let ((), imported) = join(other_import, importing).await;

    assert_eq!(imported.counts(), [0, 0, 1, 0, 0, 0], "{}", imported.stderr);
}

/// IM-14: a repeated import replaces the report of the previous one, and reports the same about
/// records that have not changed.
#[tokio::test]
async fn report_is_replaced_by_that_of_the_next_import() {
    let server = TestServer::start().await;
    let unusable = json!({ "id": "2", "email": "a2@example.test", "password_hash": "md5$x$y" });
    let lines = [line(1), unusable.to_string(), "{".to_owned()];
    let path = server.file("accounts.ndjson", lines.join("\n"));
    let folder = server.database.directory().join("reports");
    fs::create_dir(&folder).unwrap();
    let report = folder.join("refusals.txt");
    let arguments = ["--report", report.to_str().unwrap(), path.to_str().unwrap()];

    let first = server.import("ndjson", &arguments).await;
    let findings = findings(&fs::read_to_string(&report).unwrap());
    let again = server.import("ndjson", &arguments).await;

    assert_eq!(first.counts(), [2, 0, 0, 0, 0, 1], "{}", first.stderr);
    assert_eq!(again.counts(), [0, 0, 2, 0, 0, 1], "{}", again.stderr);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("line 2: needs a password reset: "), "{findings:?}");
    assert!(findings[1].starts_with("line 3: refused: "), "{findings:?}");
    let text = fs::read_to_string(&report).unwrap();
    assert_eq!(self::findings(&text), findings);
    assert!(text.ends_with("# complete\n"), "{text}");
    assert_eq!(fs::metadata(&report).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a temporary file is left");
}

/// IM-14: any other file at the path of the report is refused, before anything is imported.
#[tokio::test]
async fn report_replaces_no_other_file() {
    let server = TestServer::start().await;
    let path = server.file("accounts.ndjson", line(1));
    let own = path.to_str().unwrap();

    for report in [own, "/dev/null"] {
        let refused = server.import("ndjson", &["--report", report, own]).await;

        assert_eq!(refused.status, 1);
        let message = format!("{report} exists and is not the report of an import");
        assert!(refused.stderr.contains(&message), "{}", refused.stderr);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), line(1));
    assert_eq!(server.database.count("account").await, 0);
}

/// IM-14: the report of an import that stopped says that it is not complete.
#[tokio::test]
async fn report_of_a_stopped_import_is_marked_as_incomplete() {
    let server = TestServer::start().await;
    let path = server.file("accounts.json", format!("[{}, [1], {{", line(1)));
    let report = server.database.directory().join("refusals.txt");
    let arguments = ["--report", report.to_str().unwrap(), path.to_str().unwrap()];

    let stopped = server.import("ndjson", &arguments).await;

    assert!(stopped.stderr.contains("the import stopped"), "{}", stopped.stderr);
    let text = fs::read_to_string(&report).unwrap();
    assert_eq!(findings(&text), ["record 2: refused: the record is not a JSON object"]);
    assert!(text.ends_with("# incomplete: the import stopped\n"), "{text}");
}

fn findings(report: &str) -> Vec<String> {
    report.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}
