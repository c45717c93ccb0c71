//! Refuses a transaction of a command if `signet database copy` has moved the database since the
//! command began.
//!
//! A command checks the mark when it opens the database. A copy that is under way at that time sets
//! the mark when it commits, and blocks the transactions of the command until then. So each of
//! these transactions checks the mark again. Transactions of a server need not: a copy does not
//! start while a server runs, and a server checks the mark once it counts as running.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr};

use crate::database::job::Transact;
use crate::database::sql;

/// The table of the mark. It is not copied.
pub(super) const TABLE: &str = "database_copy";

/// `work`, which fails without running if the database is marked.
pub(super) fn refusing_moved<I, T, E, F>(work: F) -> impl Transact<I, T, E>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
    E: From<DbErr> + Send + 'static,
    F: Transact<I, T, E>,
{
    move |txn, now, input| {
        let work = work(txn, now, input);
        Box::pin(async move {
            refuse_moved(txn).await?;
            work.await
        })
    }
}

async fn refuse_moved(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    // Older schemas have no marks.
    if !migration::has_table(txn, TABLE).await? {
        return Ok(());
    }
    if txn.get_database_backend() == DbBackend::Postgres {
        // This lock waits for a copy, which locks all tables, but not for other commands.
        txn.execute_unprepared("LOCK TABLE database_copy IN ROW EXCLUSIVE MODE").await?;
    }
    let other: Option<String> = sql::first(txn, "SELECT other FROM database_copy", []).await?;
    other.map_or(Ok(()), |other| {
        Err(DbErr::Custom(format!(
            "the database was copied to or from {other} by `signet database copy` in the meantime. \
             Nothing was changed"
        )))
    })
}
