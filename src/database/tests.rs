//! Group commit on SQLite: transactions share a commit, and each succeeds or fails independently.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DbErr};
use tempfile::TempDir;

use crate::clock::Clock;
use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::database::{Db, migrate_up, sql};

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("a rule refuses it")]
    ByRule,
    #[error(transparent)]
    Database(#[from] DbErr),
}

async fn open(directory: &Path) -> Db {
    let url = format!("sqlite:{}", directory.join("signet.db").display());
    let database_url: DatabaseUrl = url.parse().unwrap();
    let settings =
        DatabaseSettings { database_url, database_connections: 1, database_wait_seconds: 30 };
    let db = Db::connect(&settings, Clock::shared()).await.unwrap();
    migrate_up(&db).await.unwrap();
    store(&db, "CREATE TABLE number (id BIGINT PRIMARY KEY)", false).await.unwrap();
    db
}

/// Runs a statement in a transaction, which then fails if `is_refused`.
async fn store(db: &Db, sql: &str, is_refused: bool) -> Result<(), Refusal> {
    let sql = sql.to_owned();
    db.write(sql, move |txn, _, sql| {
        Box::pin(async move {
            txn.execute_unprepared(sql).await?;
            if is_refused { Err(Refusal::ByRule) } else { Ok(()) }
        })
    })
    .await
}

/// Occupies the writer, so that all transactions sent meanwhile form one batch.
async fn occupy_writer(db: &Db) {
    let transaction = db.write((), |_, _, ()| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok::<_, DbErr>(())
        })
    });
    transaction.await.unwrap();
}

/// Stores the numbers 0 to 39 concurrently, each in a transaction. Numbers for which `is_refused`
/// returns true are refused after they have been written. Returns the outcome of each transaction,
/// and the number of commits.
async fn store_all(db: &Db, is_refused: impl Fn(usize) -> bool) -> (Vec<Result<(), Refusal>>, i64) {
    let before = query_number(db, "SELECT writes FROM database_state").await;
    let all = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let store = async |id| store(db, &insert(id), is_refused(id)).await;
        join_all((0..40).map(store)).await
    };
    let ((), outcomes) = tokio::join!(occupy_writer(db), all);
    (outcomes, query_number(db, "SELECT writes FROM database_state").await - before)
}

async fn query_number(db: &Db, sql: &'static str) -> i64 {
    let row = db.read(|db| async move { sql::first(&db, sql, []).await }).await;
    row.unwrap().unwrap()
}

fn insert(id: usize) -> String {
    format!("INSERT INTO number VALUES ({id})")
}

/// Without the option `ENABLE_QPSG`, SQLite compiles a statement again whenever a parameter of
/// `LIMIT ?` is bound. `.cargo/config.toml` sets the option for builds in this repository.
#[tokio::test]
async fn sqlite_chooses_plans_without_regard_to_bound_values() {
    let directory = TempDir::new().unwrap();
    let db = open(directory.path()).await;

    assert_eq!(query_number(&db, "SELECT sqlite_compileoption_used('ENABLE_QPSG')").await, 1);
}

#[tokio::test]
async fn domain_error_rolls_back_only_its_transaction_and_needs_no_extra_commit() {
    let directory = TempDir::new().unwrap();
    let db = open(directory.path()).await;

    let (outcomes, commits) = store_all(&db, |id| id % 4 == 3).await;

    for (id, outcome) in outcomes.iter().enumerate() {
        let is_expected = match outcome {
            Ok(()) => id % 4 != 3,
            Err(error) => id % 4 == 3 && matches!(error, Refusal::ByRule),
        };
        assert!(is_expected, "{id}: {outcome:?}");
    }
    assert_eq!(query_number(&db, "SELECT count(*) FROM number").await, 30);
    assert_eq!(query_number(&db, "SELECT count(*) FROM number WHERE id % 4 = 3").await, 0);
    assert_eq!(commits, 2, "the transaction that occupied the writer, and the batch");
}

#[tokio::test]
async fn database_error_rolls_back_only_its_transaction() {
    let directory = TempDir::new().unwrap();
    let db = open(directory.path()).await;
    store(&db, &insert(7), false).await.unwrap();

    let (outcomes, _) = store_all(&db, |id| id == 30).await;

    for (id, outcome) in outcomes.iter().enumerate() {
        let is_expected = match (id, outcome) {
            (7, Err(Refusal::Database(error))) => error.to_string().contains("number"),
            (30, Err(Refusal::ByRule)) => true,
            (id, outcome) => id != 7 && id != 30 && outcome.is_ok(),
        };
        assert!(is_expected, "{id}: {outcome:?}");
    }
    assert_eq!(query_number(&db, "SELECT count(*) FROM number").await, 39);
}
