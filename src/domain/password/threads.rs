//! The threads that hash, at a priority of their own.
//!
//! A thread keeps its memory for the next job and returns it after a while without one. A storm of
//! logins must not delay the requests that need no hash, nor must a flood of those stop all logins:
//! docs/performance.md has what was measured at several priorities.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use crate::domain::password::queue::Ticket;
use crate::domain::password::shared::{Job, Shared, State};
use crate::domain::password::workspace::Workspace;

/// The nice value of the threads: 0 is that of all others, 19 the lowest priority, at which a program that
/// keeps the cores busy leaves two logins a second.
pub(super) const NICE: i32 = 5;

/// What a thread does next.
enum Next {
    Run(Ticket, Job),
    Release,
    End,
}

/// Starts one, which keeps so many blocks of memory for `rest` after its last job.
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

/// The life of a hashing thread.
fn serve(shared: &Shared, block_count: usize, rest: Duration) {
    lower_priority();
    let mut workspace = Workspace::new(block_count, Arc::clone(&shared.tally));
    loop {
        match next(shared, workspace.holds_memory().then_some(rest)) {
            Next::Run(ticket, job) => {
                let reply = job(&mut workspace);
                // Before the answer: who has it may ask again at once.
                shared.lock().queue.finish(&ticket, &workspace.take_times());
                reply();
                workspace.tidy();
            }
            Next::Release => workspace.release(),
            Next::End => return,
        }
    }
}

/// Waits for a job: for as long as `rest`, or until there is one.
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

/// On Linux nice values belong to threads and process 0 means the calling one (setpriority(2),
/// "C library/kernel differences"). Elsewhere the call would slow the whole process down.
#[cfg(target_os = "linux")]
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "hashing runs at normal priority: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}
