//! The work of a transaction, with its result type erased, and the progress of the transaction.
//!
//! A write ends as done, not done, or in doubt. It is in doubt if its commit was started and the
//! outcome is unknown; then the error must not claim that nothing was done.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::error::{ConnAcquireErr, RuntimeErr};
use sea_orm::{DatabaseTransaction, DbErr, sqlx};
use tokio::sync::oneshot;

use crate::timestamp::Timestamp;

const IN_DOUBT: &str = "the commit was started, and its outcome is unknown";

/// The future of one run of a transaction's work.
pub type Work<'t, T, E> = BoxFuture<'t, Result<T, E>>;

/// The work of a transaction, which `Db::write` takes. It may run more than once. Each run gets a
/// time that was read inside the transaction, and borrows the input.
pub trait Transact<I, T, E>:
    for<'t> Fn(&'t DatabaseTransaction, Timestamp, &'t I) -> Work<'t, T, E> + Send + Sync + 'static
{
}

impl<I, T, E, F> Transact<I, T, E> for F where
    F: for<'t> Fn(&'t DatabaseTransaction, Timestamp, &'t I) -> Work<'t, T, E>
        + Send
        + Sync
        + 'static
{
}

/// A transaction to be run.
pub(super) struct Job {
    pub(super) transaction: Box<dyn AnyTransaction>,
    pub(super) progress: Progress,
    /// Whether it may use the disk space that is reserved for the case of a full disk.
    pub(super) is_urgent: bool,
}

/// A transaction of unknown result type.
pub(super) trait AnyTransaction: Send {
    /// Runs the work and stores its outcome. If this returns an error, the caller must roll the
    /// transaction back.
    fn run<'t>(
        &'t mut self,
        txn: &'t DatabaseTransaction,
        now: Timestamp,
    ) -> Work<'t, (), WorkError>;
    /// Sends the stored outcome, or the error of the commit. A commit error also replaces a refusal
    /// by a rule, because the refusal may depend on writes that were not committed. It does not
    /// replace a database error of the work.
    fn finish(self: Box<Self>, committed: Result<(), DbErr>);
}

/// Why the work of a transaction failed. The stored outcome has the details.
pub(super) enum WorkError {
    /// A rule of the domain refused it.
    Refused,
    Database(DbErr),
}

/// The progress of a transaction. It decides which error a caller that stops waiting gets.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

/// The commit has not started, so nothing is committed.
const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
/// The caller got the error that nothing was done.
const ABANDONED: u8 = 2;
/// The caller got the error that the commit is in doubt.
const LEFT_IN_DOUBT: u8 = 3;

impl Progress {
    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Must be called before a commit. If it returns false, the caller got the error that nothing
    /// was done, and the commit must not start.
    pub(super) fn start_commit(&self) -> bool {
        self.change(OPEN, COMMITTING)
    }

    /// Must be called after the database refused a commit. If it returns false, the caller no
    /// longer waits for a retry.
    pub(super) fn reopen(&self) -> bool {
        self.change(COMMITTING, OPEN)
    }

    /// Must be called when the caller stops waiting. Returns true if nothing was done and nothing
    /// will be done.
    pub(super) fn abandon(&self) -> bool {
        if self.change(OPEN, ABANDONED) {
            return true;
        }
        self.change(COMMITTING, LEFT_IN_DOUBT);
        self.0.load(Ordering::Acquire) == ABANDONED
    }

    /// Whether the caller has stopped waiting.
    pub(super) fn has_caller_left(&self) -> bool {
        self.0.load(Ordering::Acquire) >= ABANDONED
    }
}

/// A transaction to be run, and the receiver of its outcome.
pub(super) struct Submission<T, E> {
    pub(super) job: Job,
    pub(super) answer: oneshot::Receiver<Result<T, E>>,
}

impl<T, E> Submission<T, E>
where
    T: Send + 'static,
    E: Error + From<DbErr> + Send + 'static,
{
    pub(super) fn new<I, F>(is_urgent: bool, input: I, work: F) -> Self
    where
        I: Send + Sync + 'static,
        F: Transact<I, T, E>,
    {
        let (reply, answer) = oneshot::channel();
        let transaction = Box::new(Transaction { input, work, outcome: None, reply });
        Self { job: Job { transaction, progress: Progress::default(), is_urgent }, answer }
    }
}

struct Transaction<I, T, E, F> {
    input: I,
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<I, T, E, F> AnyTransaction for Transaction<I, T, E, F>
where
    I: Send + Sync,
    T: Send,
    E: Error + From<DbErr> + Send + 'static,
    F: Transact<I, T, E>,
{
    fn run<'t>(
        &'t mut self,
        txn: &'t DatabaseTransaction,
        now: Timestamp,
    ) -> Work<'t, (), WorkError> {
        Box::pin(async move {
            let outcome = AssertUnwindSafe((self.work)(txn, now, &self.input)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(panicked().into()));
            let failed = outcome.as_ref().err().map(|error| match database_error_of(error) {
                Some(error) => WorkError::Database(error.clone()),
                None => WorkError::Refused,
            });
            self.outcome = Some(outcome);
            failed.map_or(Ok(()), Err)
        })
    }

    fn finish(self: Box<Self>, committed: Result<(), DbErr>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), Err(_)) if database_error_of(&error).is_some() => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Some(outcome), Ok(())) => outcome,
            (None, Ok(())) => Err(aborted().into()),
        };
        // The caller may have stopped waiting.
        drop(self.reply.send(outcome));
    }
}

/// The database error in the chain of causes of `error`.
fn database_error_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e DbErr> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// The code of a database error: an SQLSTATE, or an SQLite result code.
pub(super) fn sql_state(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        return None;
    };
    let RuntimeErr::SqlxError(cause) = cause else { return None };
    Some(cause.as_database_error()?.code()?.into_owned())
}

/// SQLite's result code without its extended part; `None` for errors that are not SQLite's.
pub(super) fn sqlite_code(error: &DbErr) -> Option<u32> {
    sql_state(error).and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff)
}

/// Whether the connection failed rather than the statement.
pub(super) fn is_connection_error(error: &DbErr) -> bool {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        // A timeout while acquiring a connection means overload, not a broken connection.
        return false;
    };
    let RuntimeErr::SqlxError(cause) = cause else { return false };
    match &**cause {
        // Class 08: connection exceptions; 57P: operator intervention, such as a shutdown; 25P03:
        // the server ended an idle transaction.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "25P03"
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether the error, or a cause of it, is that a commit is in doubt.
#[must_use]
pub fn is_in_doubt(error: &(dyn Error + 'static)) -> bool {
    matches!(database_error_of(error), Some(DbErr::Custom(text)) if text == IN_DOUBT)
}

pub(super) fn in_doubt() -> DbErr {
    DbErr::Custom(IN_DOUBT.to_owned())
}

/// The database did not respond in time, and nothing was done.
pub(super) fn unavailable() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

/// The transaction ended before its commit, and nothing was done.
pub(super) fn aborted() -> DbErr {
    DbErr::Custom("the transaction was aborted before its commit".to_owned())
}

fn panicked() -> DbErr {
    DbErr::Custom("the transaction panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abandoned_job_is_not_committed() {
        let progress = Progress::default();

        assert!(progress.abandon(), "the commit has not started");
        assert!(!progress.start_commit(), "an abandoned job cannot commit");
    }

    #[test]
    fn commit_is_in_doubt_if_the_caller_leaves_after_its_start() {
        let progress = Progress::default();

        assert!(progress.start_commit());
        assert!(!progress.abandon());
        assert!(!progress.reopen(), "nobody waits for a retry");
    }

    #[test]
    fn in_doubt_error_is_found_inside_a_domain_error() {
        #[derive(Debug, thiserror::Error)]
        #[error("not stored")]
        struct DomainError(#[from] DbErr);

        assert!(is_in_doubt(&DomainError(in_doubt())));
        assert!(!is_in_doubt(&DomainError(unavailable())));
    }
}
