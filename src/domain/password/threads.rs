//! The hashing threads. They run at a lower priority than other threads, so that a burst of logins
//! does not delay requests that need no hash. The priority is not the lowest, so that a flood of
//! such requests does not block all logins. docs/performance.md has measurements at several
//! priorities.
//!
//! An idle thread retains its memory for the next job, and frees it after a timeout.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use crate::domain::password::queue::Ticket;
use crate::domain::password::shared::{Job, Shared, State};
use crate::domain::password::workspace::Workspace;

/// The nice value of the threads. All other threads have 0. The lowest priority is 19, at which
/// only two logins per second are possible beside a program that keeps the cores busy.
pub(super) const NICE: i32 = 5;

/// The next action of a thread.
enum Next {
    Run(Ticket, Job),
    Release,
    End,
}

/// Starts a thread, which retains `block_count` blocks of memory for `idle_timeout` after its last
/// job.
pub(super) fn start(
    number: u32,
    shared: Arc<Shared>,
    block_count: usize,
    idle_timeout: Duration,
) -> io::Result<()> {
    thread::Builder::new()
        .name(format!("signet-hash-{number}"))
        .spawn(move || serve(&shared, block_count, idle_timeout))
        .map(drop)
}

/// The main loop of a hashing thread.
fn serve(shared: &Shared, block_count: usize, idle_timeout: Duration) {
    lower_priority();
    let mut workspace = Workspace::new(block_count, Arc::clone(&shared.tally));
    loop {
        match next(shared, workspace.holds_memory().then_some(idle_timeout)) {
            Next::Run(ticket, job) => {
                let reply = job(&mut workspace);
                // The job leaves the queue before its result is sent, because the receiver may
                // submit another job immediately.
                shared.lock().queue.finish(&ticket, &workspace.take_times());
                reply();
                workspace.wipe_testable();
            }
            Next::Release => workspace.release(),
            Next::End => return,
        }
    }
}

/// Waits for a job: for at most `idle_timeout`, or without a limit if it is `None`.
fn next(shared: &Shared, idle_timeout: Option<Duration>) -> Next {
    let is_idle = |state: &mut State| state.queue.is_empty() && !state.is_closed;
    let mut state = if let Some(idle_timeout) = idle_timeout {
        let woken = shared.wake.wait_timeout_while(shared.lock(), idle_timeout, is_idle);
        woken.unwrap_or_else(PoisonError::into_inner).0
    } else {
        let woken = shared.wake.wait_while(shared.lock(), is_idle);
        woken.unwrap_or_else(PoisonError::into_inner)
    };
    match state.queue.take() {
        Some((ticket, job)) => Next::Run(ticket, job),
        None if state.is_closed => Next::End,
        None => Next::Release,
    }
}

/// On Linux nice values apply to threads, and process 0 means the calling thread (setpriority(2),
/// "C library/kernel differences"). On other systems the call would slow down the whole process.
#[cfg(target_os = "linux")]
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "hashing runs at normal priority: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}
