//! The tables and columns that are copied, read from the schema that the migrations have made. So a
//! table or column that is added later cannot be forgotten.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use crate::database::moved;
use crate::database::sql;

/// Tables that describe a database itself, and differ between source and target.
const NOT_COPIED: [&str; 2] = ["seaql_migrations", moved::TABLE];

const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text, data_type::text \
     FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) \
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";

const POSTGRES_REFERENCES: &str = "SELECT one.relname::text, other.relname::text \
     FROM pg_constraint JOIN pg_class one ON one.oid = conrelid \
     JOIN pg_class other ON other.oid = confrelid \
    WHERE contype = 'f' AND one.relnamespace = current_schema()::regnamespace";

const SQLITE_COLUMNS: &str = "SELECT one.name, info.name, info.type FROM sqlite_master one \
     JOIN pragma_table_info(one.name) info \
     WHERE one.type = 'table' AND one.name NOT LIKE 'sqlite^_%' \
     ESCAPE '^'";

const SQLITE_REFERENCES: &str = "SELECT one.name, other.\"table\" FROM sqlite_master one \
     JOIN pragma_foreign_key_list(one.name) other WHERE one.type = 'table'";

/// The type of a column. Each database has its own names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Integer,
    Text,
    Bytes,
    Boolean,
    Uuid,
    Json,
}

impl Type {
    /// The type with this name in one of the databases.
    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.split('(').next().unwrap_or_default();
        Some(match name {
            "integer" | "bigint" => Self::Integer,
            "text" | "varchar" | "character varying" => Self::Text,
            "bytea" | "blob" => Self::Bytes,
            "boolean" => Self::Boolean,
            "uuid" | "uuid_text" => Self::Uuid,
            "json" | "jsonb" | "json_text" | "jsonb_text" => Self::Json,
            _ => return None,
        })
    }
}

/// A table, with its columns in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<(String, Type)>,
}

/// All tables. Each follows the tables that it references.
pub(super) async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Table>, DbErr> {
    let (columns, references) = match connection.get_database_backend() {
        DbBackend::Postgres => (POSTGRES_COLUMNS, POSTGRES_REFERENCES),
        _ => (SQLITE_COLUMNS, SQLITE_REFERENCES),
    };
    let mut columns: Vec<(String, String, String)> = sql::all(connection, columns, []).await?;
    columns.sort();
    let mut tables: Vec<Table> = Vec::new();
    for (table, column, type_name) in columns {
        if NOT_COPIED.contains(&table.as_str()) {
            continue;
        }
        let Some(kind) = Type::named(&type_name) else {
            return Err(DbErr::Type(format!("{table}.{column} has the unknown type {type_name}")));
        };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push((column, kind)),
            None => tables.push(Table { name: table, columns: vec![(column, kind)] }),
        }
    }
    let references: Vec<(String, String)> = sql::all(connection, references, []).await?;
    Ok(in_order(tables, &references))
}

/// Whether a database has no tables at all.
pub(super) async fn is_empty(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let columns = match connection.get_database_backend() {
        DbBackend::Postgres => POSTGRES_COLUMNS,
        _ => SQLITE_COLUMNS,
    };
    let columns: Vec<(String, String, String)> = sql::all(connection, columns, []).await?;
    Ok(columns.is_empty())
}

/// The tables, ordered so that each follows the tables that it references.
fn in_order(mut rest: Vec<Table>, references: &[(String, String)]) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::new();
    let mut placed = BTreeSet::new();
    while !rest.is_empty() {
        let is_free = |table: &Table| {
            references
                .iter()
                .filter(|(from, to)| *from == table.name && *to != table.name)
                .all(|(_, to)| placed.contains(to))
        };
        let (free, blocked): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_free);
        // Tables that reference each other in a cycle keep their order.
        let (free, blocked) = if free.is_empty() { (blocked, free) } else { (free, blocked) };
        placed.extend(free.iter().map(|table| table.name.clone()));
        ordered.extend(free);
        rest = blocked;
    }
    ordered
}
