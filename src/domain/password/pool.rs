//! The hashing pool: a queue of jobs and a few threads.
//!
//! A password hash uses a core for tens of milliseconds, so admission is decided before any work is
//! done:
//!
//! 1. *Admission* (`queue`). Work beyond the backlog is refused immediately with
//!    [`HashError::Busy`].
//! 2. *Waiting*. Clients take turns. A job is removed from the queue if its caller is dropped. It
//!    is also removed shortly before its request would time out, and its caller then gets
//!    [`HashError::Busy`]. This happens if other programs use the cores, contrary to the estimate
//!    at admission.
//! 3. *Work* (`threads`). A job that has begun counts as work until it ends, even if its caller no
//!    longer waits. A panic is reported as an error. The thread and the pool continue.
//!
//! The threads end when the pool is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::domain::password::class::Class;
use crate::domain::password::failure::Failure;
use crate::domain::password::meter::Meter;
use crate::domain::password::queue::{Limits, Queue, Ticket};
use crate::domain::password::shared::{Job, Shared};
use crate::domain::password::threads;
use crate::domain::password::workspace::Workspace;

/// Limits of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Number of threads, by default the number of cores. Each thread has its own memory.
    pub threads: u32,
    /// How long all unfinished admitted work may take, by estimate. Further work is refused, except
    /// that clients with little work may use a reserve (`queue`).
    pub backlog: Duration,
    /// How long a caller waits for the result. It is slightly shorter than the timeout of the
    /// request.
    pub patience: Duration,
    /// Length of the IPv6 prefix that counts as one client, in bits.
    pub ipv6_prefix: u8,
}

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The backlog is full, or there was no result within [`PoolSettings::patience`]. Any later
    /// result is discarded.
    #[error("too many passwords are being hashed")]
    Busy {
        /// How long until there is room again.
        retry_after: Duration,
    },
    /// Hashing itself failed.
    #[error("hashing failed")]
    Failed(#[source] Failure),
}

/// The handle of the pool. Dropping it ends the threads.
pub(super) struct Pool {
    shared: Arc<Shared>,
    settings: PoolSettings,
}

impl Pool {
    /// Starts the threads, which free their memory after `idle_timeout` without work. `current` is
    /// the class of new hashes, and `block_count` the Argon2 memory of each thread in KiB.
    pub(super) fn start(
        settings: PoolSettings,
        current: Class,
        block_count: usize,
        idle_timeout: Duration,
    ) -> std::io::Result<Self> {
        let limits = Limits { backlog: settings.backlog, threads: settings.threads };
        let queue = Queue::new(limits, Meter::new(current));
        // The pool is created before the threads. If a thread fails to start, dropping the pool
        // ends the threads that have started.
        let pool = Self { shared: Arc::new(Shared::new(queue)), settings };
        for number in 0..settings.threads {
            threads::start(number, Arc::clone(&pool.shared), block_count, idle_timeout)?;
        }
        Ok(pool)
    }

    /// Runs `work` for `client` on a hashing thread. `classes` has the class of each hash that the
    /// work computes.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        client: u128,
        classes: &[Class],
        work: impl FnOnce(&mut Workspace) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, HashError> {
        let PoolSettings { patience, backlog, .. } = self.settings;
        let pending = self.submit(client, classes, work)?;
        let answer = timeout(patience, pending.answer()).await;
        answer.unwrap_or(Err(HashError::Busy { retry_after: backlog }))
    }

    /// Queues `work`. Dropping the returned value removes the work from the queue.
    fn submit<T: Send + 'static>(
        &self,
        client: u128,
        classes: &[Class],
        work: impl FnOnce(&mut Workspace) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Pending<T>, HashError> {
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |workspace| {
            // No job relies on the contents of the workspace, so a panic does not harm later jobs.
            let outcome = catch_unwind(AssertUnwindSafe(|| work(workspace)))
                .unwrap_or(Err(Failure::Panicked))
                .map_err(HashError::Failed);
            // If the caller was dropped meanwhile, the result is dropped as well.
            Box::new(move || drop(sender.send(outcome)))
        });
        let admitted = self.shared.lock().queue.admit(client, classes, job, Instant::now());
        let ticket = admitted.map_err(|retry_after| HashError::Busy { retry_after })?;
        self.shared.wake.notify_one();
        Ok(Pending { answer, shared: Arc::clone(&self.shared), ticket })
    }

    /// The number of password hashes whose computation was started so far.
    pub(super) fn hashes_started(&self) -> u64 {
        self.shared.tally.hashes_started.load(Ordering::Relaxed)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.wake.notify_all();
    }
}

/// An admitted job whose caller waits. Dropping this value removes the job from the queue.
struct Pending<T> {
    answer: oneshot::Receiver<Result<T, HashError>>,
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl<T> Pending<T> {
    async fn answer(mut self) -> Result<T, HashError> {
        (&mut self.answer).await.unwrap_or(Err(HashError::Failed(Failure::Stopped)))
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        let withdrawn = self.shared.lock().queue.withdraw(&self.ticket);
        // The job is dropped outside the lock, because this wipes its password.
        drop(withdrawn);
    }
}

#[cfg(test)]
mod tests;
