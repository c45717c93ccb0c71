//! Reads a table of another application's database, for an import, and writes nothing there. On
//! SQLite, no lock is held between portions, because a lock would block the application's writes.

use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait,
};
use serde_json::{Map, Value};

use crate::config::DatabaseUrl;
use crate::database::file::ConnectError;
use crate::database::message::message_of;
use crate::database::options::connection_error;
use crate::database::sql;

/// Rows read at a time.
const PORTION: u32 = 1_000;

/// Timeout for connecting, and for a lock on SQLite.
const WAIT: Duration = Duration::from_secs(10);

/// Why another application's database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database does not respond, or refuses the connection.
    #[error("cannot connect to the database to import from: {0}")]
    Connect(String),
    /// There is no such file.
    #[error("there is no database file {0}")]
    NoFile(String),
    /// The name of the table has characters that names of tables do not have.
    #[error("the name of the table to import from is not valid")]
    TableName,
    /// There is no such table.
    #[error("there is no table {0} in the database to import from")]
    NoTable(String),
    /// The database refused a query.
    #[error("the table to import from cannot be read: {0}")]
    Read(String),
}

impl From<DbErr> for SourceError {
    fn from(error: DbErr) -> Self {
        Self::Read(message_of(&error))
    }
}

/// A table of another application's database, read once from its beginning.
pub struct SourceDatabase {
    rows: Rows,
    table: String,
}

/// A row as an object with a member for each column, or why the row cannot be read.
pub type Row = Result<Map<String, Value>, UnreadableRow>;

/// A row that cannot be read.
#[derive(Debug)]
pub struct UnreadableRow {
    /// Why.
    pub reason: String,
    /// The columns that can be read nevertheless, to identify the row.
    pub columns: Map<String, Value>,
}

enum Rows {
    /// The connection, the columns as an SQL expression, and the `rowid` of the last row read.
    Sqlite { connection: DatabaseConnection, columns: String, last: i64 },
    /// A transaction with a cursor, so that all rows are of one point in time.
    Postgres(Box<DatabaseTransaction>),
}

impl SourceDatabase {
    /// Opens a database read-only, and a table in it.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn open(url: &DatabaseUrl, table: &str) -> Result<Self, SourceError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if table.is_empty() || !table.chars().all(is_name) {
            return Err(SourceError::TableName);
        }
        let table = format!("\"{}\"", table.replace('.', "\".\""));
        let rows = match url.sqlite_file() {
            Some(file) if !file.exists() => {
                return Err(SourceError::NoFile(file.display().to_string()));
            }
            Some(_) => open_sqlite(url, &table).await?,
            None => open_postgres(url, &table).await?,
        };
        Ok(Self { rows, table })
    }

    /// The number of rows.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn count(&self) -> Result<u64, SourceError> {
        let sql = format!("SELECT count(*) FROM {}", self.table);
        let count: Option<i64> = match &self.rows {
            Rows::Sqlite { connection, .. } => sql::first(connection, &sql, []).await?,
            Rows::Postgres(txn) => sql::first(&**txn, &sql, []).await?,
        };
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn next(&mut self) -> Result<Vec<Row>, SourceError> {
        // As bytes, because the texts of a table need not be UTF-8.
        let texts: Vec<Vec<u8>> = match &mut self.rows {
            Rows::Sqlite { connection, columns, last } => {
                let sql = format!(
                    "SELECT rowid, CAST({columns} AS BLOB) FROM {} WHERE rowid > $1 \
                     ORDER BY rowid LIMIT {PORTION}",
                    self.table
                );
                let rows: Vec<(i64, Vec<u8>)> =
                    sql::all(connection, &sql, [(*last).into()]).await?;
                *last = rows.last().map_or(*last, |(rowid, _)| *rowid);
                rows.into_iter().map(|(_, text)| text).collect()
            }
            Rows::Postgres(txn) => {
                let sql = format!("FETCH {PORTION} FROM rows_to_import");
                sql::all(&**txn, &sql, []).await?
            }
        };
        Ok(texts.iter().map(|text| parse(text)).collect())
    }
}

fn parse(text: &[u8]) -> Row {
    let reason = match std::str::from_utf8(text) {
        Ok(text) => match serde_json::from_str(text) {
            Ok(columns) => return Ok(columns),
            Err(error) => format!("the row is not valid JSON: {error}"),
        },
        Err(_) => "the row is not UTF-8".to_owned(),
    };
    let columns = serde_json::from_str(&String::from_utf8_lossy(text)).unwrap_or_default();
    Err(UnreadableRow { reason, columns })
}

fn connect_error(error: DbErr) -> SourceError {
    match ConnectError::from(error) {
        ConnectError::Connect(cause) => SourceError::Connect(cause),
        other => SourceError::Connect(other.to_string()),
    }
}

async fn open_sqlite(url: &DatabaseUrl, table: &str) -> Result<Rows, SourceError> {
    let mut options = ConnectOptions::new(url.expose());
    options.max_connections(1).sqlx_logging(false).idle_timeout(None::<Duration>);
    options.max_lifetime(None::<Duration>);
    let read_only = |sqlite: SqliteConnectOptions| {
        sqlite.read_only(true).create_if_missing(false).busy_timeout(WAIT)
    };
    options.map_sqlx_sqlite_opts(read_only);
    let connection = Database::connect(options).await.map_err(connect_error)?;
    let name = table.rsplit('.').next().unwrap_or(table).replace('"', "");
    let names = "SELECT name FROM pragma_table_info($1)";
    let names: Vec<String> = sql::all(&connection, names, [name.clone().into()]).await?;
    if names.is_empty() {
        return Err(SourceError::NoTable(name));
    }
    let member = |name: &String| {
        let (text, column) = (name.replace('\'', "''"), name.replace('"', "\"\""));
        format!(
            "'{text}', CASE typeof(\"{column}\") WHEN 'blob' THEN hex(\"{column}\") \
             ELSE \"{column}\" END"
        )
    };
    let members: Vec<String> = names.iter().map(member).collect();
    let columns = format!("json_object({})", members.join(", "));
    Ok(Rows::Sqlite { connection, columns, last: i64::MIN })
}

async fn open_postgres(url: &DatabaseUrl, table: &str) -> Result<Rows, SourceError> {
    let mut options = ConnectOptions::new(url.expose());
    options.max_connections(1).sqlx_logging(false).idle_timeout(None::<Duration>);
    options.max_lifetime(None::<Duration>).connect_timeout(WAIT).acquire_timeout(WAIT);
    options.map_sqlx_postgres_opts(|postgres| {
        postgres.options([("default_transaction_read_only", "on"), ("timezone", "UTC")])
    });
    // Tried before the pool connects: the pool would retry until its timeout, and report only that.
    if let Some(error) = connection_error(url.expose()).await {
        return Err(connect_error(error));
    }
    let connection = Database::connect(options).await.map_err(connect_error)?;
    let txn = connection.begin().await?;
    let found: Option<Option<String>> =
        sql::first(&txn, "SELECT to_regclass($1)::text", [table.into()]).await?;
    if found.flatten().is_none() {
        return Err(SourceError::NoTable(table.replace('"', "")));
    }
    // A database with the encoding SQL_ASCII may contain any bytes. Others are converted. A column
    // of type `json` may contain escapes that are not valid in `jsonb`.
    let order = primary_key(&txn, table).await?;
    let order = order.map(|columns| format!(" ORDER BY {columns}")).unwrap_or_default();
    let cursor = format!(
        "DECLARE rows_to_import NO SCROLL CURSOR FOR \
         SELECT convert_to(to_json(r)::text, CASE getdatabaseencoding() \
                           WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END) FROM {table} r{order}"
    );
    sql::execute(&txn, &cursor, []).await?;
    Ok(Rows::Postgres(Box::new(txn)))
}

/// The columns of the primary key, by which the rows are read: if two rows have one address, the
/// first is imported, and an update of a row must not change which one that is.
async fn primary_key(
    txn: &DatabaseTransaction,
    table: &str,
) -> Result<Option<String>, SourceError> {
    let sql = "SELECT string_agg('r.' || quote_ident(a.attname), ', ' \
                                 ORDER BY array_position(i.indkey::smallint[], a.attnum)) \
               FROM pg_index i JOIN pg_attribute a \
                 ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
               WHERE i.indrelid = to_regclass($1) AND i.indisprimary";
    let found: Option<Option<String>> = sql::first(txn, sql, [table.into()]).await?;
    Ok(found.flatten())
}
