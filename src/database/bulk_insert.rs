//! Inserts many rows by one statement. Statements for the same number of rows have the same text,
//! so the database prepares it once. The query builder is not used, because it takes longer to
//! build the statement than the database takes to insert the rows.
//!
//! On SQLite, the statements do not undo their own changes if they fail (`OR FAIL`). Otherwise
//! SQLite would copy each page before it changes it, and write the copies to a temporary file.
//! Every failed statement is rolled back with its transaction (`sqlite_batches`).

use std::fmt::Write as _;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait,
    PrimaryKeyToColumn, QueryResult, TryGetable, Value,
};

use crate::database::sql;

/// Largest number of parameters in a statement. SQLite allows 32,766, PostgreSQL 65,535.
const MAX_PARAMETERS: usize = 8_000;

/// What happens to a row if the table already has a row with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnConflict {
    Fail,
    Skip,
    /// The row of the table gets the values of the new row.
    Replace,
}

/// Inserts rows.
///
/// # Errors
/// If the database refuses; then the transaction must not be committed.
pub async fn insert_all<E: EntityTrait>(
    txn: &impl ConnectionTrait,
    rows: &[E::Model],
) -> Result<(), DbErr> {
    for rows in portions::<E>(rows) {
        execute::<E>(txn, rows, OnConflict::Fail).await?;
    }
    Ok(())
}

/// Inserts rows. A row with the same primary key is replaced.
///
/// # Errors
/// As [`insert_all`].
pub async fn insert_or_replace<E: EntityTrait>(
    txn: &impl ConnectionTrait,
    rows: &[E::Model],
) -> Result<(), DbErr> {
    for rows in portions::<E>(rows) {
        // SQLite inserts rows faster by a statement that replaces none.
        if txn.get_database_backend() == DbBackend::Sqlite
            && execute::<E>(txn, rows, OnConflict::Skip).await? == count(rows)
        {
            continue;
        }
        execute::<E>(txn, rows, OnConflict::Replace).await?;
    }
    Ok(())
}

/// Inserts rows, except those for which there is another row with an equal value in a unique index.
/// Returns the values of `key`, which must be unique, of the rows that were inserted.
///
/// # Errors
/// As [`insert_all`].
pub async fn insert_new<E, T>(
    txn: &impl ConnectionTrait,
    rows: &[E::Model],
    key: E::Column,
    key_of: impl Fn(&E::Model) -> T,
) -> Result<Vec<T>, DbErr>
where
    E: EntityTrait,
    T: TryGetable,
{
    let mut inserted = Vec::with_capacity(rows.len());
    for rows in portions::<E>(rows) {
        if txn.get_database_backend() == DbBackend::Sqlite {
            // `RETURNING` is slow on SQLite, because the driver passes each returned row to another
            // thread. So the inserted rows are counted instead.
            let table = E::default().table_name().to_owned();
            let last = format!("SELECT coalesce(max(rowid), 0) FROM \"{table}\"");
            let last: Option<i64> = sql::first(txn, &last, []).await?;
            if execute::<E>(txn, rows, OnConflict::Skip).await? == count(rows) {
                inserted.extend(rows.iter().map(&key_of));
                continue;
            }
            let key = key.as_str();
            let new = format!("SELECT \"{key}\" FROM \"{table}\" WHERE rowid > $1");
            let new = sql::statement(txn, &new, [last.into()]);
            inserted.extend(first_columns(&txn.query_all_raw(new).await?)?);
        } else {
            let text = text::<E>(DbBackend::Postgres, rows.len(), OnConflict::Skip);
            let text = format!("{text} RETURNING \"{}\"", key.as_str());
            let returned = txn.query_all_raw(sql::statement(txn, &text, values::<E>(rows)));
            inserted.extend(first_columns(&returned.await?)?);
        }
    }
    Ok(inserted)
}

fn first_columns<T: TryGetable>(rows: &[QueryResult]) -> Result<Vec<T>, DbErr> {
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

fn portions<E: EntityTrait>(rows: &[E::Model]) -> std::slice::Chunks<'_, E::Model> {
    let columns = E::Column::iter().count().max(1);
    rows.chunks((MAX_PARAMETERS / columns).max(1))
}

fn count<M>(rows: &[M]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

/// Returns the number of rows that were inserted or replaced.
async fn execute<E: EntityTrait>(
    txn: &impl ConnectionTrait,
    rows: &[E::Model],
    on_conflict: OnConflict,
) -> Result<u64, DbErr> {
    let text = text::<E>(txn.get_database_backend(), rows.len(), on_conflict);
    sql::execute(txn, &text, values::<E>(rows)).await
}

fn values<E: EntityTrait>(rows: &[E::Model]) -> impl Iterator<Item = Value> {
    rows.iter().flat_map(|row| E::Column::iter().map(|column| row.get(column)))
}

fn text<E: EntityTrait>(backend: DbBackend, rows: usize, on_conflict: OnConflict) -> String {
    let names: Vec<String> =
        E::Column::iter().map(|column| format!("\"{}\"", column.as_str())).collect();
    let is_postgres = backend == DbBackend::Postgres;
    let insert = if is_postgres { "INSERT INTO" } else { "INSERT OR FAIL INTO" };
    let table = E::default();
    let mut text = format!("{insert} \"{}\" ({}) VALUES ", table.table_name(), names.join(", "));
    let mut number = 0;
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..names.len() {
            text.push_str(if column == 0 { "" } else { ", " });
            number += 1;
            if is_postgres {
                let _ = write!(text, "${number}");
            } else {
                text.push('?');
            }
        }
        text.push(')');
    }
    match on_conflict {
        OnConflict::Fail => {}
        OnConflict::Skip => text.push_str(" ON CONFLICT DO NOTHING"),
        OnConflict::Replace => {
            let keys: Vec<String> = E::PrimaryKey::iter()
                .map(|key| format!("\"{}\"", key.into_column().as_str()))
                .collect();
            let replaced: Vec<String> = names
                .iter()
                .filter(|name| !keys.contains(name))
                .map(|name| format!("{name} = excluded.{name}"))
                .collect();
            let (keys, replaced) = (keys.join(", "), replaced.join(", "));
            let _ = write!(text, " ON CONFLICT ({keys}) DO UPDATE SET {replaced}");
        }
    }
    text
}
