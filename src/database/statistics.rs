//! Collects missing statistics for PostgreSQL's planner.
//!
//! `autovacuum` collects statistics minutes after a table has grown. They are missing after
//! `pg_restore`, an import and `pg_upgrade`. Without them, PostgreSQL assumes that every condition
//! matches few rows. SQLite chooses the right plans without statistics
//! (`tests/growth/statements.py`).

use sea_orm::{ConnectionTrait, DbErr};

use crate::database::db::{Backend, Db, lift_timeouts};
use crate::database::sql;

/// Tables of more than 1 MiB without statistics.
const TABLES_WITHOUT_STATISTICS: &str = "SELECT quote_ident(relname) FROM pg_class \
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace \
       AND pg_relation_size(oid) > 1048576 \
       AND NOT EXISTS (SELECT 1 FROM pg_stats \
                        WHERE schemaname = current_schema() AND tablename = relname)";

/// On PostgreSQL, runs `ANALYZE` on the tables of more than 1 MiB that were never analysed. Returns
/// the names of these tables.
///
/// # Errors
/// If the database refuses.
pub async fn analyze_unknown(db: &Db) -> Result<Vec<String>, DbErr> {
    if matches!(db.backend, Backend::Sqlite { .. }) {
        return Ok(Vec::new());
    }
    let tables: Vec<String> =
        db.read(|db| async move { sql::all(&db, TABLES_WITHOUT_STATISTICS, []).await }).await?;
    if tables.is_empty() {
        return Ok(tables);
    }
    analyze_all(db, &tables.join(", ")).await?;
    Ok(tables)
}

/// On PostgreSQL, runs `ANALYZE` on these tables, which the caller has filled.
///
/// # Errors
/// If the database refuses.
pub async fn analyze(db: &Db, tables: &[&'static str]) -> Result<(), DbErr> {
    if matches!(db.backend, Backend::Sqlite { .. }) {
        return Ok(());
    }
    analyze_all(db, &tables.join(", ")).await
}

async fn analyze_all(db: &Db, tables: &str) -> Result<(), DbErr> {
    let sql = format!("ANALYZE {tables}");
    db.without_timeout()
        .write(sql, move |txn, _, sql| {
            Box::pin(async move {
                lift_timeouts(txn).await?;
                txn.execute_unprepared(sql).await.map(drop)
            })
        })
        .await
}
