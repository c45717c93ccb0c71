//! Several runs of one import, at the same time.

use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::harness::TestServer;

fn line(number: u32) -> String {
    json!({ "id": number.to_string(), "email": format!("a{number}@example.test") }).to_string()
}

/// IM-13: of several imports of one source at the same time, each account is created by one, and is
/// unchanged for the others.
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
        return; // Reads do not wait for locks, so nothing can be inserted between them.
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

    let locked = async {
        // The lock must be held before the import reads.
        database.wait_for_connections(1, "query LIKE 'LOCK TABLE%'").await;
        server.import("ndjson", &arguments).await
    };
    let ((), imported) = join(other_import, locked).await;

    assert_eq!(imported.counts(), [0, 0, 1, 0, 0, 0], "{}", imported.stderr);
}
