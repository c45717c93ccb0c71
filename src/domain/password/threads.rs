//! The hashing threads, which run at a lower priority.
//!
//! An idle thread keeps its memory for the next job and frees it after a while. A burst of logins
//! must not delay requests that need no hash, nor must a flood of such requests block all logins:
//! docs/performance.md has measurements at several priorities.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use crate::domain::password::queue::Ticket;
use crate::domain::password::shared::{Job, Shared, State};
use crate::domain::password::workspace::Workspace;

/// The nice value of the threads: 0 is that of all other threads, 19 the lowest priority, at which
/// a program that keeps the cores busy leaves two logins a second.
pub(super) const NICE: i32 = 5;

/// The next action of a thread.
enum Next {
    Run(Ticket, Job),
    Release,
    End,
}

/// Starts a thread, which keeps `block_count` blocks of memory for `rest` after its last job.
pub(super) fn start(
    number: u32,
    shared: Arc<Shared>,
    block_count: usize,
    rest: Duration,
) -> io::Result<()> {
    thread::Builder::new()
        .name(format!("signet-hash-{number}"))
        .spawn(move || serve(&shared, block_count, rest))
        .map(drop)
}

/// The main loop of a hashing thread.
fn serve(shared: &Shared, block_count: usize, rest: Duration) {
    lower_priority();
    let mut workspace = Workspace::new(block_count, Arc::clone(&shared.tally));
    loop {
        match next(shared, workspace.holds_memory().then_some(rest)) {
            Next::Run(ticket, job) => {
                let reply = job(&mut workspace);
                // Before the result is sent: its receiver may submit another job at once.
                shared.lock().queue.finish(&ticket, &workspace.take_times());
                reply();
                workspace.tidy();
            }
            Next::Release => workspace.release(),
            Next::End => return,
        }
    }
}

/// Waits for a job, for at most `rest` if given.
fn next(shared: &Shared, rest: Option<Duration>) -> Next {
    let is_idle = |state: &mut State| state.queue.is_empty() && !state.is_closed;
    let mut state = if let Some(rest) = rest {
        let rested = shared.wake.wait_timeout_while(shared.lock(), rest, is_idle);
        rested.unwrap_or_else(PoisonError::into_inner).0
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

/// On Linux nice values apply to threads, and process 0 means the calling one (setpriority(2), "C
/// library/kernel differences"). Elsewhere the call would slow down the whole process.
#[cfg(target_os = "linux")]
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "hashing runs at normal priority: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}
