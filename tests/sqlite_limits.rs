//! W1: after SQLite has run out of pages or memory inside a write transaction, later writes that
//! are acknowledged are stored. This is a separate program, because a memory limit of SQLite cannot
//! be removed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DbErr, Statement};
use signet::clock::Clock;
use signet::config::{DatabaseSettings, DatabaseUrl};
use signet::database::{self, Db};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

async fn database(directory: &Path) -> (Db, String) {
    let url = format!("sqlite:{}", directory.join("signet.db").display());
    let database_url: DatabaseUrl = url.parse().unwrap();
    let settings =
        DatabaseSettings { database_url, database_connections: 1, database_wait_seconds: 5 };
    let mut db = Db::connect(&settings, Clock::shared()).await.unwrap();
    database::migrate_up(&db).await.unwrap();
    db.begin_serving(uuid::Uuid::nil()).await.unwrap();
    run(&db, "CREATE TABLE filler (id INTEGER PRIMARY KEY, content BLOB)").await.unwrap();
    (db, url)
}

async fn run(db: &Db, sql: &str) -> Result<(), DbErr> {
    let sql = sql.to_owned();
    db.write(sql, move |txn, _, sql| {
        Box::pin(async move { txn.execute_unprepared(sql).await.map(drop) })
    })
    .await
}

async fn store(db: &Db, id: u32, bytes: u64) -> Result<(), DbErr> {
    run(db, &format!("INSERT INTO filler VALUES ({id}, randomblob({bytes}))")).await
}

/// The ids of the rows that another connection reads.
async fn stored(url: &str) -> Vec<u32> {
    let db = Database::connect(format!("{url}?mode=ro")).await.unwrap();
    let sql = "SELECT id FROM filler ORDER BY id";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let ids = rows.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    db.close().await.unwrap();
    ids
}

async fn pragma(db: &Db, name: &str) -> u64 {
    let sql = format!("PRAGMA {name}");
    let found = db.read(|db| async move {
        let statement = Statement::from_string(db.get_database_backend(), sql);
        db.query_one_raw(statement).await
    });
    let value: i64 = found.await.unwrap().unwrap().try_get_by_index(0).unwrap();
    value.unsigned_abs()
}

#[tokio::test]
async fn acknowledged_writes_after_a_failure_are_stored() {
    let directory = TempDir::new().unwrap();
    let (db, url) = database(directory.path()).await;
    let mut acknowledged = vec![1];
    store(&db, 1, 1).await.unwrap();

    // SQLITE_FULL, caused by a limit of the writer's connection. The limit ends when the connection
    // is closed.
    let max_pages = pragma(&db, "page_count").await + 16;
    run(&db, &format!("PRAGMA max_page_count = {max_pages}")).await.unwrap();
    let full = store(&db, 2, MIB).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    // Writes are refused until the reserved space has been created again.
    let started = Instant::now();
    while let Err(refused) = store(&db, 3, MIB).await {
        assert!(started.elapsed() < Duration::from_secs(20), "{refused}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    acknowledged.push(3);
    assert_eq!(stored(&url).await, acknowledged);

    // SQLITE_NOMEM: one row needs more memory than is left; the later rows do not.
    run(&db, &format!("PRAGMA hard_heap_limit = {}", 24 * MIB)).await.unwrap();
    let failed = store(&db, 7, 32 * MIB).await.unwrap_err();
    assert!(failed.to_string().contains("memory"), "{failed}");
    for id in 8..12 {
        store(&db, id, 10).await.unwrap();
        acknowledged.push(id);
    }
    assert_eq!(stored(&url).await, acknowledged);
    assert!(db.write_obstacle().await.is_none());
    db.close().await;
    assert_eq!(stored(&url).await, acknowledged);
}
