//! The lock that orders refreshes of an account's sessions against operations that end all of them.
//!
//! A refresh takes the lock shared. An operation that ends all sessions takes it exclusively. Both
//! take it before they lock any row.
//!
//! It is an advisory lock, because PostgreSQL grants advisory locks in the order of the requests:
//! an exclusive request waits for the refreshes under way, and not for later ones. With row locks,
//! later shared requests would overtake the exclusive request. SQLite runs one transaction at a
//! time and needs no lock.

use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use uuid::Uuid;

use crate::database::sql;

/// Takes the lock exclusively, so that no session of the account is refreshed until the commit.
///
/// # Errors
/// A database error, or the lock timed out.
pub async fn lock_exclusive(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    lock(txn, "pg_advisory_xact_lock", account_id).await
}

/// Takes the lock shared, so that no operation ends all sessions of the account until the commit.
///
/// # Errors
/// A database error, or the lock timed out.
pub async fn lock_shared(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    lock(txn, "pg_advisory_xact_lock_shared", account_id).await
}

/// An expression for PostgreSQL that takes the lock shared, and then checks that the account is
/// enabled and that `epoch` is its current session epoch. The check sees changes that were
/// committed while the statement waited for the lock. A migration defines the SQL function.
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
