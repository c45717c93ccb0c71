//! Failures to accept a connection, mostly because of too many open files.
//!
//! They must not stall the accepting task, make it spin, or flood the log. One descriptor is held
//! in reserve: closing it for a moment allows a connection to be accepted, answered and closed.

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

/// The response to a connection that is closed at once.
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
        Self { reserve: open(), unreported: 0, reported_at: None }
    }

    /// Records that a connection could not be accepted. Rejects the next connection in the backlog
    /// with the reserved descriptor, or waits for the back-off.
    pub(super) async fn meet(&mut self, error: &io::Error, listener: &TcpListener) {
        self.unreported += 1;
        self.report(Some(error));
        let is_short = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        let is_short = error.raw_os_error().is_some_and(|code| is_short.contains(&code));
        if is_short && self.reserve.take().is_some() {
            if let Some(Ok((stream, _))) = listener.accept().now_or_never() {
                // The connection is closed even if the client does not read the response.
                let _ = stream.into_std().and_then(turn_away);
            }
            self.reserve = open();
            return;
        }
        sleep(BACK_OFF).await;
        if self.reserve.is_none() {
            self.reserve = open();
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

fn open() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Neither call blocks: the runtime made the stream non-blocking.
fn turn_away(mut stream: std::net::TcpStream) -> io::Result<()> {
    // Closing a connection with unread data resets it, and the response may be lost.
    let _ = stream.read(&mut [0; 4096]);
    stream.write_all(UNAVAILABLE)
}
