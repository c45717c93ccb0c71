//! The lock that puts refreshes and whatever ends all sessions of an account in an order.
//!
//! Whoever refreshes shares it, whoever ends all sessions has it alone, and both take it before any
//! row. It is an advisory lock: those queue in order, so that whoever wants it alone waits for the
//! refreshes under way and for no later one. Row locks would let later sharers in first. SQLite runs one
//! transaction at a time and needs none.

use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use uuid::Uuid;

/// Keeps refreshes of the account's sessions out until the commit.
///
/// # Errors
/// The database's, or that the lock was not to be had in time.
pub async fn lock_alone(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    lock(txn, "pg_advisory_xact_lock", account_id).await
}

/// Keeps whoever ends all sessions of the account out until the commit.
///
/// # Errors
/// The database's, or that the lock was not to be had in time.
pub async fn lock_shared(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    lock(txn, "pg_advisory_xact_lock_shared", account_id).await
}

/// On PostgreSQL: takes the lock shared and says whether the account is enabled and the epoch its own,
/// all in the statement that it is part of (`migration` defines the function). What was committed while
/// that waited for the lock counts.
#[must_use]
pub fn lock_shared_and_check(account_id: Expr, epoch: Expr) -> Expr {
    Func::cust("signet_session_is_current").arg(account_id).arg(epoch).into()
}

async fn lock(txn: &impl ConnectionTrait, function: &str, account_id: Uuid) -> Result<(), DbErr> {
    if txn.get_database_backend() == DbBackend::Postgres {
        let sql = format!("SELECT {function}(hashtextextended($1::uuid::text, 0))");
        let values = [account_id.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        txn.query_one_raw(statement).await?;
    }
    Ok(())
}
