//! The lock that orders refreshes of an account's sessions against operations that end all of them.
//!
//! A refresh takes it shared, an operation that ends all sessions takes it exclusively; both take
//! it before any row. It is an advisory lock because waiters on those queue in order: an exclusive
//! waiter waits for the refreshes under way and for no later one. With row locks, later shared
//! lockers would overtake it. SQLite runs one transaction at a time and needs no lock.

use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use uuid::Uuid;

use crate::database::sql;

/// Takes the lock exclusively: no session of the account is refreshed until the commit.
///
/// # Errors
/// A database error, or the lock timed out.
pub async fn lock_exclusive(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    lock(txn, "pg_advisory_xact_lock", account_id).await
}

/// Takes the lock shared: until the commit, no operation can end all sessions of the account.
///
/// # Errors
/// A database error, or the lock timed out.
pub async fn lock_shared(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    lock(txn, "pg_advisory_xact_lock_shared", account_id).await
}

/// On PostgreSQL: takes the lock shared and checks that the account is enabled and `epoch` is its
/// current one, in the same statement (`migration` defines the function). The check sees what was
/// committed while the statement waited for the lock.
#[must_use]
pub fn lock_shared_and_check(account_id: Expr, epoch: Expr) -> Expr {
    Func::cust("signet_session_is_current").arg(account_id).arg(epoch).into()
}

async fn lock(txn: &impl ConnectionTrait, function: &str, account_id: Uuid) -> Result<(), DbErr> {
    if txn.get_database_backend() == DbBackend::Postgres {
        let sql = format!("SELECT {function}(hashtextextended($1::uuid::text, 0))");
        sql::execute(txn, &sql, [account_id.into()]).await?;
    }
    Ok(())
}
