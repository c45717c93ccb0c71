//! A dump of the whole database, as an attacker could copy it.

use std::collections::BTreeMap;

use crate::harness::TestDatabase;

/// All cells by table and column, as text, sorted. Bytes and UUIDs are lower-case hexadecimal.
pub type Dump = BTreeMap<(String, String), Vec<String>>;

impl TestDatabase {
    /// All tables, including the migration history.
    pub async fn tables(&self) -> Vec<String> {
        self.column(if self.is_postgres() {
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        } else {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             ORDER BY 1"
        })
        .await
    }

    /// All stored data, except for tables that background tasks change while a server runs, and the
    /// marks of copies.
    pub async fn dump(&self) -> Dump {
        let mut dump = Dump::new();
        let is_left_out =
            |table: &str| ["database_state", "instance", "database_copy"].contains(&table);
        for table in self.tables().await.into_iter().filter(|table| !is_left_out(table)) {
            for column in self.columns(&table).await {
                let cell = self.as_text(&column);
                let sql = format!("SELECT coalesce({cell}, '') FROM \"{table}\" ORDER BY 1");
                let cells = self.column(&sql).await;
                dump.insert((table.clone(), column), cells);
            }
        }
        dump
    }

    /// SQL for a column's value as text.
    fn as_text(&self, column: &str) -> String {
        if self.is_postgres() {
            format!(
                "CASE pg_typeof(\"{column}\")::text \
                 WHEN 'bytea' THEN substr(\"{column}\"::text, 3) \
                 WHEN 'uuid' THEN replace(\"{column}\"::text, '-', '') \
                 ELSE \"{column}\"::text END"
            )
        } else {
            format!(
                "CASE typeof(\"{column}\") WHEN 'blob' THEN lower(hex(\"{column}\")) \
                 ELSE CAST(\"{column}\" AS TEXT) END"
            )
        }
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        self.column(&if self.is_postgres() {
            format!(
                "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY 1"
            )
        } else {
            format!("SELECT name FROM pragma_table_info('{table}') ORDER BY 1")
        })
        .await
    }
}
