//! Batches of writes, on both databases.

use sea_orm::DbErr;

use crate::database::batch::BatchWork;
use crate::database::db::{Backend, Db};
use crate::database::postgres_batches::PostgresBatches;
use crate::database::sqlite_batched::SqliteBatches;

/// Writes of one kind that share their statements and their transaction.
///
/// The writes that wait while a batch runs form the next batch, so no write waits for a batch to
/// fill. A batch handles only the ordinary case, and never waits for a lock. It leaves out writes
/// of any other case, and writes whose row is locked. The callers of these writes, and all callers
/// of a batch that failed, then run separate transactions ([`Db::write`]).
pub enum Batches<I, T> {
    /// Several batches at a time, each in a transaction of its own.
    Postgres(PostgresBatches<I, T>),
    /// Each batch is one of the transactions that share a commit.
    Sqlite(SqliteBatches<I, T>),
}

impl<I, T> Batches<I, T>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    /// Creates batches that run `work`.
    #[must_use]
    pub fn new(db: &Db, work: impl BatchWork<I, T>) -> Self {
        match &db.backend {
            Backend::Postgres(writer) => Self::Postgres(PostgresBatches::new(writer, work)),
            Backend::Sqlite { writer, .. } => Self::Sqlite(SqliteBatches::new(writer, work)),
        }
    }

    /// Runs a write in a batch. Returns `None` if the batch left the write out or failed. Nothing
    /// was written then. If the caller stops waiting before the commit has started, nothing is
    /// written.
    ///
    /// # Errors
    /// As [`Db::write`]: the database does not respond, or the commit is in doubt.
    pub async fn write(&self, input: I) -> Result<Option<T>, DbErr> {
        match self {
            Self::Postgres(batches) => batches.write(input).await,
            Self::Sqlite(batches) => batches.write(input).await,
        }
    }
}
