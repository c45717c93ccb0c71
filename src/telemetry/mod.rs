//! Logs: one line per event on standard output, as text or JSON.
//!
//! Everything that `signet serve` writes to standard output goes through one queue (see `queue`).
//! If standard output fails or blocks, log lines are lost, and nothing else is affected.

mod queue;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{LogFormat, LogSettings};
use crate::telemetry::queue::{Losses, Queue};

/// Maximum size of the queue, in bytes.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// Log levels of libraries that write many lines where Signet writes one. `SIGNET_LOG` can override
/// them.
const LIBRARIES: &str = "poem=warn,sea_orm_migration=warn";

/// The queue in front of standard output.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The filter cannot be parsed.
    #[error("SIGNET_LOG is not valid: {0}")]
    Filter(#[from] ParseError),
    /// There is no standard output, or the writer thread cannot be started.
    #[error("cannot write logs: {0}")]
    Output(#[from] io::Error),
}

/// Starts logging with these settings. Panics are logged, too. Must be called only once.
///
/// # Errors
/// See [`StartError`].
pub fn start(settings: &LogSettings) -> Result<(), StartError> {
    let filter = EnvFilter::try_new(format!("{LIBRARIES},{}", settings.log))?;
    let stdout = io::stdout();
    // `Stdout` is not used: it would hold its lock while a write blocks, and would buffer the rest
    // of a line that was only partly written.
    let output = File::from(stdout.as_fd().try_clone_to_owned()?);
    let queue = Queue::start(output, QUEUE_BYTES, report)?;
    let queue = Arc::clone(QUEUE.get_or_init(|| queue));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(stdout.is_terminal())
        .with_writer(queue);
    match settings.log_format {
        LogFormat::Human => subscriber.compact().init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_span_list(false).init(),
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Writes a text for human readers to the log output.
pub fn print(text: &str) {
    if let Some(queue) = QUEUE.get() {
        queue.push(format!("{text}\n").as_bytes());
    }
}

/// The number of log lines lost since the start because standard output failed or was not read.
#[must_use]
pub fn lost_lines() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.lost())
}

/// Waits until all queued lines are written, for at most `limit`.
pub fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(limit);
    }
}

fn report(losses: Losses) {
    let Losses { lines, total } = losses;
    tracing::warn!(total, "{lines} log lines were lost: standard output failed or was not read");
}

/// The panic hook. It replaces the default hook, which writes to standard error directly.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    // A formatted message may contain a password or a token. A literal cannot.
    let reason = panic.payload().downcast_ref::<&'static str>();
    let thread = std::thread::current();
    tracing::error!(location, reason, thread = thread.name(), "panicked");
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, set_hook};
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn panic_is_logged_with_its_location_and_without_values() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || Shared(Arc::clone(&writer)))
            .finish();
        // The hook is global. Panics of other tests run it, too, but log to the subscriber of their
        // own thread.
        set_hook(Box::new(log_panic));

        tracing::subscriber::with_default(subscriber, || {
            let secret = "hunter2";
            assert!(catch_unwind(|| panic!("the token {secret} is not one")).is_err());
            assert!(catch_unwind(|| panic!("a literal")).is_err());
        });

        let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(lines[1]["reason"], "a literal");
        for line in &lines {
            assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"panicked".into()));
            assert!(line["location"].as_str().unwrap().starts_with("src/telemetry/mod.rs:"));
        }
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
