//! W5, W15, W18: work that could grow with the size of the database. `tests/growth` tests query
//! plans on a large database.

use std::time::Duration;

use futures_util::future::join;
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::harness::oauth::{Browser, WEB_CLIENT};
use crate::harness::{Program, TestServer, eventually};

/// Two queries: for the columns of each foreign key, and for those of each index that is not
/// partial. Both return texts such as `table(column,other_column,`.
const SQLITE_KEYS: [&str; 2] = [
    "SELECT t.name || '(' || group_concat(f.\"from\") || ',' \
       FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table' \
      GROUP BY t.name, f.id",
    "SELECT t.name || '(' || group_concat(coalesce(c.name, '()')) || ',' \
       FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c \
      WHERE t.type = 'table' AND NOT i.partial GROUP BY t.name, i.name",
];
/// As [`SQLITE_KEYS`], for PostgreSQL.
const POSTGRES_KEYS: [&str; 2] = [
    "SELECT conrelid::regclass || '(' || (SELECT string_agg(attname, ',' ORDER BY place) \
       FROM unnest(conkey) WITH ORDINALITY k(number, place) \
       JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.number) || ',' \
       FROM pg_constraint WHERE contype = 'f'",
    "SELECT indrelid::regclass || '(' || (SELECT string_agg(attname, ',' ORDER BY place) \
       FROM unnest(indkey::int2[]) WITH ORDINALITY k(number, place) \
       JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = k.number) || ',' \
       FROM pg_index JOIN pg_class c ON c.oid = indrelid \
      WHERE indpred IS NULL AND indexprs IS NULL AND relnamespace = 'public'::regnamespace",
];

/// W15: deleting a referenced row searches for the rows that refer to it.
#[tokio::test]
async fn each_foreign_key_has_an_index() {
    let server = TestServer::start().await;
    let [foreign_keys, indexes] =
        if server.database.is_postgres() { POSTGRES_KEYS } else { SQLITE_KEYS };

    let foreign_keys = server.database.column::<String>(foreign_keys).await;
    let indexes = server.database.column::<String>(indexes).await;

    assert!(foreign_keys.len() >= 6, "{foreign_keys:?}");
    for key in foreign_keys {
        assert!(indexes.iter().any(|index| index.starts_with(&key)), "{key} {indexes:?}");
    }
}

/// Inserts `number` rows. `values` is SQL that may use `i`, the number of a row.
async fn insert_rows(server: &TestServer, table: &str, number: u32, values: &str) {
    let rows = format!(
        "INSERT INTO {table} WITH RECURSIVE n(i) AS \
         (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) SELECT {values} FROM n"
    );
    server.database.execute(&rows).await;
}

/// SQL for 32 bytes that differ for each `i`.
fn digest_sql(server: &TestServer) -> &'static str {
    if server.database.is_postgres() { "sha256(i::text::bytea)" } else { "randomblob(32)" }
}

/// W5: the backlog is so large that deleting it in one statement exceeds the statement timeout.
#[tokio::test]
async fn large_backlog_is_deleted_in_batches() {
    let server = TestServer::start().await;
    insert_rows(&server, "used_assertion", 2_500, &format!("{}, i", digest_sql(&server))).await;
    if server.database.is_postgres() {
        let delay = "CREATE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql \
                      AS 'BEGIN PERFORM pg_sleep(0.001); RETURN OLD; END'; \
                      CREATE TRIGGER slow_down BEFORE DELETE ON used_assertion \
                      FOR EACH ROW EXECUTE FUNCTION slow_down()";
        server.database.execute(delay).await;
    }

    let server = server.restart().await;

    eventually("expired rows are deleted", async || {
        server.database.count("used_assertion").await == 0
    })
    .await;
}

/// W4: a table whose rows cannot be deleted does not delay deletions in other tables.
#[tokio::test]
async fn failed_purge_of_a_table_does_not_stop_other_purges() {
    let server = TestServer::start().await;
    for table in ["attempt", "authorization_code", "pending_authorization"] {
        server.database.execute(&format!("ALTER TABLE {table} RENAME TO no_{table}")).await;
    }
    insert_rows(&server, "used_assertion", 10, &format!("{}, 1", digest_sql(&server))).await;

    let server = server.restart().await;

    eventually("expired rows are deleted", async || {
        server.database.count("used_assertion").await == 0
    })
    .await;
}

/// W18: after an import PostgreSQL assumes that all values are rare, until the tables are analysed.
#[tokio::test]
async fn tables_without_statistics_are_analyzed() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return; // SQLite needs no statistics.
    }
    insert_rows(
        &server,
        "used_assertion",
        20_000,
        &format!("{}, i + 4102444800000000", digest_sql(&server)),
    )
    .await;

    let server = server.restart().await;

    eventually("there are statistics", async || {
        server.database.count("pg_stats WHERE tablename = 'used_assertion'").await > 0
    })
    .await;
}

/// Each read of new marks (rows of `invalid_status`) looks back for a period, which is shorter if
/// there are many marks. A mark that is committed after this period is found by a later read.
#[tokio::test]
async fn late_committed_mark_is_published_within_a_minute() {
    let server = TestServer::start().await;
    let [ada, bob] = [
        server.sign_up("ada@example.test").await.tokens(),
        server.sign_up("bob@example.test").await.tokens(),
    ];
    server.log_out(&bob.access_token).await.expect_status(200);
    server.wait_until_listed_as_ended(&bob.access_token).await;
    let index = crate::harness::StatusReference::of(&ada.access_token).index;
    let now = server.clock.now().as_micros();
    insert_rows(&server, "invalid_status", 1_500, &format!("1, 2000000 + i, {now}")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let since = now - 90_000_000;

    let mark = format!("INSERT INTO invalid_status VALUES (1, {index}, {since})");
    server.database.execute(&mark).await;
    server.advance_seconds(61);

    server.wait_until_listed_as_ended(&ada.access_token).await;
}

/// W18: known marks are not read again each second.
#[tokio::test]
async fn known_marks_are_not_reread_every_second() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return; // SQLite does not count reads.
    }
    let number = 5_000;
    let since = server.clock.now().as_micros();
    insert_rows(&server, "invalid_status", number, &format!("1, i, {since}")).await;
    let bob = server.sign_up("bob@example.test").await.tokens();
    server.log_out(&bob.access_token).await.expect_status(200);
    server.wait_until_listed_as_ended(&bob.access_token).await;
    server.advance_seconds(20);
    // Wait for the full read, which takes place once a minute.
    tokio::time::sleep(Duration::from_secs(4)).await;

    let reads = "SELECT COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0) \
                 FROM pg_stat_user_tables WHERE relname = 'invalid_status'";
    let before = server.database.column::<i64>(reads).await[0];
    tokio::time::sleep(Duration::from_secs(8)).await;
    let after = server.database.column::<i64>(reads).await[0];

    assert!(after - before < 3 * i64::from(number), "{}", after - before);
}

/// If a session is locked, the removal of its client waits and then continues. Until then, the
/// removal has a lock only on the client.
#[tokio::test]
async fn locked_session_ends_once_the_lock_is_released() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return; // SQLite runs one transaction at a time.
    }
    let web = server.register_clients(WEB_CLIENT).await.remove(0);
    server.sign_up("ada@example.test").await.expect_status(201);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code("ada@example.test", &[]).await;
    server.redeem(&web, &code).await.expect_status(200);
    let holder = server.database.connect().await.begin().await.unwrap();
    holder
        .execute_unprepared("SELECT 1 FROM session WHERE client_id = 'web' FOR UPDATE")
        .await
        .unwrap();

    let program = Program::new(&server.database);
    let removal = program.run(&["client", "delete", "web"]);
    let release = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        // A transaction that has locked a session may need the client, so the removal regularly
        // releases its lock on the client.
        let client = "SELECT 1 FROM client WHERE id = 'web' FOR KEY SHARE";
        holder.execute_unprepared(client).await.unwrap();
        holder.commit().await.unwrap();
    };
    let (output, ()) = join(removal, release).await;

    assert!(output.status.success(), "{output:?}");
    let live = "session WHERE client_id = 'web' AND ended_at IS NULL";
    assert_eq!(server.database.count(live).await, 0);
    assert_eq!(server.database.count("client").await, 0);
}
