//! Handles failures to accept a connection, which are mostly caused by too many open files.
//!
//! Such a failure must not block the accepting task, make it spin, or flood the log. One descriptor
//! is reserved. While this descriptor is closed for a moment, a connection can be accepted,
//! answered and closed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;

use futures_util::FutureExt;
use rustix::io::Errno;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

/// Pause after a failure that a free descriptor does not solve.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Minimum time between two log lines about failures.
const REPORT_PERIOD: Duration = Duration::from_secs(10);

/// The response to a request on a connection that is closed at once.
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    connection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// The reserved descriptor, and the failures that are not logged yet.
pub(super) struct Shortage {
    reserve: Option<File>,
    unreported: u64,
    reported_at: Option<Instant>,
}

impl Shortage {
    pub(super) fn new() -> Self {
        Self { reserve: open_reserve(), unreported: 0, reported_at: None }
    }

    /// Records that a connection could not be accepted. Then uses the reserved descriptor to reject
    /// the next connection in the backlog, or waits for the back-off.
    pub(super) async fn handle(&mut self, error: &io::Error, listener: &TcpListener) {
        self.unreported += 1;
        self.report(Some(error));
        let too_many_files = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        let is_short = error.raw_os_error().is_some_and(|code| too_many_files.contains(&code));
        if is_short && self.reserve.take().is_some() {
            if let Some(Ok((stream, _))) = listener.accept().now_or_never() {
                // The connection is closed even if the client does not read the response.
                let _ = stream.into_std().and_then(reject);
            }
            self.reserve = open_reserve();
            return;
        }
        sleep(BACK_OFF).await;
        if self.reserve.is_none() {
            self.reserve = open_reserve();
        }
    }

    /// Logs the failures if a log line is due.
    pub(super) fn report(&mut self, error: Option<&io::Error>) {
        let is_due = self.reported_at.is_none_or(|at| at.elapsed() >= REPORT_PERIOD);
        if self.unreported == 0 || !is_due {
            return;
        }
        let count = std::mem::take(&mut self.unreported);
        self.reported_at = Some(Instant::now());
        let error = error.map(tracing::field::display);
        tracing::warn!(count, error, "connections could not be accepted (ulimit -n, LimitNOFILE)");
    }
}

fn open_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Responds with 503. Neither `read` nor `write_all` blocks, because the runtime made the stream
/// non-blocking.
fn reject(mut stream: std::net::TcpStream) -> io::Result<()> {
    // Closing a connection with unread data would reset it, and the response could be lost.
    let _ = stream.read(&mut [0; 4096]);
    stream.write_all(UNAVAILABLE)
}
