//! Reads and writes the rows of a table in portions, with their types unchanged.

use openssl::sha::Sha256;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, JsonValue, QueryResult, Value,
};
use uuid::Uuid;

use crate::database::copy::tables::{Table, Type};
use crate::database::sql;

/// Largest number of rows in a portion.
const MAX_ROWS: usize = 500;

/// Largest number of values in one statement: SQLite's limit is 32,766, PostgreSQL's is 65,535.
const MAX_VALUES: usize = 30_000;

/// The number of rows of a table, and a digest of their contents.
///
/// The digest is the sum of the SHA-256 digests of all rows, because the order of rows depends on
/// the database. It detects faults, not forgery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// The number of rows.
    pub rows: u64,
    sum: [u64; 4],
}

impl Digest {
    fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            let (tag, bytes) = canonical(value);
            hash.update(&[tag]);
            hash.update(&(bytes.len() as u64).to_be_bytes());
            hash.update(&bytes);
        }
        self.rows += 1;
        let hash = hash.finish();
        for (sum, part) in self.sum.iter_mut().zip(hash.as_chunks().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*part));
        }
    }

    /// The digest in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        let [a, b, c, d] = self.sum;
        format!("{a:016x}{b:016x}{c:016x}{d:016x}")
    }
}

/// A value as bytes, which are the same for both databases. The tag distinguishes types and null.
fn canonical(value: &Value) -> (u8, Vec<u8>) {
    match value {
        Value::BigInt(Some(number)) => (1, number.to_be_bytes().to_vec()),
        Value::String(Some(text)) => (2, text.as_bytes().to_vec()),
        Value::Bytes(Some(bytes)) => (3, bytes.clone()),
        Value::Bool(Some(is_true)) => (4, vec![u8::from(*is_true)]),
        Value::Uuid(Some(id)) => (5, id.as_bytes().to_vec()),
        // serde_json sorts the members of objects, and PostgreSQL does not keep their order.
        Value::Json(Some(json)) => (6, json.to_string().into_bytes()),
        _ => (0, Vec::new()),
    }
}

/// Reads the rows of a table inside a transaction.
pub(super) struct Reader<'t> {
    txn: &'t DatabaseTransaction,
    table: &'t Table,
    sql: String,
    /// The last `rowid` read, on SQLite.
    last: i64,
    pub(super) digest: Digest,
}

impl<'t> Reader<'t> {
    pub(super) async fn open(
        txn: &'t DatabaseTransaction,
        table: &'t Table,
    ) -> Result<Self, DbErr> {
        let is_postgres = txn.get_database_backend() == DbBackend::Postgres;
        let columns = table.columns.iter().map(|(name, kind)| match kind {
            Type::Integer if is_postgres => format!("\"{name}\"::bigint"),
            _ => format!("\"{name}\""),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let (name, size) = (&table.name, portion_size(table));
        let sql = if is_postgres {
            let declare = format!(
                "DECLARE \"copy_{name}\" NO SCROLL CURSOR FOR SELECT {columns} FROM \"{name}\""
            );
            txn.execute_unprepared(&declare).await?;
            format!("FETCH {size} FROM \"copy_{name}\"")
        } else {
            format!(
                "SELECT {columns}, rowid FROM \"{name}\" WHERE rowid > $1 ORDER BY rowid LIMIT {size}"
            )
        };
        Ok(Self { txn, table, sql, last: i64::MIN, digest: Digest::default() })
    }

    /// The next rows; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Vec<Value>>, DbErr> {
        let is_postgres = self.txn.get_database_backend() == DbBackend::Postgres;
        let values = if is_postgres { Vec::new() } else { vec![self.last.into()] };
        let found = self.txn.query_all_raw(sql::statement(self.txn, &self.sql, values)).await?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let values = self.table.columns.iter().enumerate();
            let values = values.map(|(index, (name, kind))| self.value(row, index, name, *kind));
            let values: Vec<Value> = values.collect::<Result<_, _>>()?;
            self.digest.add(&values);
            rows.push(values);
        }
        if let Some(row) = found.last().filter(|_| !is_postgres) {
            self.last = row.try_get_by_index(self.table.columns.len())?;
        }
        Ok(rows)
    }

    /// Reads the remaining rows without keeping them. Returns the digest of all rows of the table.
    pub(super) async fn digest_rest(mut self) -> Result<Digest, DbErr> {
        while !self.next().await?.is_empty() {}
        Ok(self.digest)
    }

    fn value(
        &self,
        row: &QueryResult,
        index: usize,
        column: &str,
        kind: Type,
    ) -> Result<Value, DbErr> {
        let value = match kind {
            Type::Integer => row.try_get_by_index::<Option<i64>>(index).map(Value::from),
            Type::Text => row.try_get_by_index::<Option<String>>(index).map(Value::from),
            Type::Bytes => row.try_get_by_index::<Option<Vec<u8>>>(index).map(Value::from),
            Type::Boolean => row.try_get_by_index::<Option<bool>>(index).map(Value::from),
            Type::Uuid => row.try_get_by_index::<Option<Uuid>>(index).map(Value::from),
            Type::Json => row.try_get_by_index::<Option<JsonValue>>(index).map(Value::from),
        };
        value.map_err(|error| DbErr::Type(format!("{}.{column}: {error}", self.table.name)))
    }
}

fn portion_size(table: &Table) -> usize {
    (MAX_VALUES / table.columns.len().max(1)).clamp(1, MAX_ROWS)
}

/// Inserts a portion of rows.
pub(super) async fn insert(
    connection: &impl ConnectionTrait,
    table: &Table,
    rows: Vec<Vec<Value>>,
) -> Result<(), DbErr> {
    let mut insert = Query::insert();
    insert.into_table(table.name.clone());
    insert.columns(table.columns.iter().map(|(name, _)| name.clone()));
    for row in rows {
        let values = row.into_iter().map(Expr::val);
        insert.values(values).map_err(|error| DbErr::Custom(error.to_string()))?;
    }
    connection.execute(&insert).await.map(drop)
}

/// Deletes the rows of all tables of an incomplete copy, and those that the migrations inserted.
pub(super) async fn delete_all(txn: &DatabaseTransaction, tables: &[Table]) -> Result<(), DbErr> {
    let names: Vec<_> = tables.iter().rev().map(|table| format!("\"{}\"", table.name)).collect();
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared(&format!("TRUNCATE {}", names.join(", "))).await?;
        return Ok(());
    }
    for name in names {
        txn.execute_unprepared(&format!("DELETE FROM {name}")).await?;
    }
    Ok(())
}
