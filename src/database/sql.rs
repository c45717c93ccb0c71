//! Statements that the query builder cannot express: SQL text with bound values.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, TryGetableMany, Value};

/// Executes a statement; returns how many rows it changed.
pub(super) async fn execute(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, DbErr> {
    Ok(connection.execute_raw(statement(connection, sql, values)).await?.rows_affected())
}

/// The columns of the first row, in the order of the statement; `None` if there is no row.
pub(super) async fn first<T: TryGetableMany>(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, DbErr> {
    let row = connection.query_one_raw(statement(connection, sql, values)).await?;
    row.map(|row| row.try_get_many_by_index()).transpose()
}

/// The columns of all rows.
pub(super) async fn all<T: TryGetableMany>(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, DbErr> {
    let rows = connection.query_all_raw(statement(connection, sql, values)).await?;
    rows.iter().map(QueryResult::try_get_many_by_index).collect()
}

pub(super) fn statement(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}
