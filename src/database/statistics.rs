//! Collects statistics for PostgreSQL's planner where there are none.
//!
//! `autovacuum` collects them, minutes after a table has grown. They are missing after
//! `pg_restore`, an import and `pg_upgrade`; without them PostgreSQL assumes that every condition
//! matches few rows. SQLite does not need them: its plans are right without
//! (`tests/growth/statements.py`).

use sea_orm::{ConnectionTrait, DbErr};

use crate::database::db::{Backend, Db, lift_timeouts};
use crate::database::sql;

/// Tables of more than 1 MiB without statistics.
const UNKNOWN: &str = "SELECT quote_ident(relname) FROM pg_class \
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace \
       AND pg_relation_size(oid) > 1048576 \
       AND NOT EXISTS (SELECT 1 FROM pg_stats \
                        WHERE schemaname = current_schema() AND tablename = relname)";

/// Runs `ANALYZE` on tables of PostgreSQL that have grown and were never analysed. Returns their
/// names; none on SQLite.
///
/// # Errors
/// If the database refuses.
pub async fn analyze_unknown(db: &Db) -> Result<Vec<String>, DbErr> {
    if matches!(db.backend, Backend::Sqlite { .. }) {
        return Ok(Vec::new());
    }
    let tables: Vec<String> = db.read(|db| async move { sql::all(&db, UNKNOWN, []).await }).await?;
    if tables.is_empty() {
        return Ok(tables);
    }
    let sql = format!("ANALYZE {}", tables.join(", "));
    db.without_timeout()
        .write(sql, move |txn, _, sql| {
            Box::pin(async move {
                lift_timeouts(txn).await?;
                txn.execute_unprepared(sql).await.map(drop)
            })
        })
        .await?;
    Ok(tables)
}
