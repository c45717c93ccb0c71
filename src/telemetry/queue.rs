//! A bounded queue of log lines in front of an output that may fail or block.
//!
//! A dedicated thread writes the lines. Logging never blocks: a line that does not fit into the
//! queue, or that cannot be written, is lost and counted. tracing-appender also has a queue, but
//! does not count failed writes, and prints to the same output at exit if the queue is full.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Memory that a queued line uses in addition to its bytes.
const LINE_OVERHEAD: usize = 64;

/// Minimum time between two reports of lost lines.
const REPORT_PERIOD: Duration = Duration::from_secs(10);

/// Pause before retrying a write that would block. Standard output may be non-blocking, because
/// other processes may share the open file and set `O_NONBLOCK`.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

thread_local! {
    /// Whether this is the writer thread. Its reports of lost lines are queued even if the queue is
    /// full.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// The queue of lines.
pub(super) struct Queue {
    state: Mutex<State>,
    max_bytes: usize,
    /// Signals that there is a line.
    filled: Condvar,
    /// Signals that the queue is empty and no line is being written.
    drained: Condvar,
    report: Box<dyn Fn(Losses) + Send + Sync>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Box<[u8]>>,
    /// The size of these lines and of the line that is being written, in bytes, each with
    /// [`LINE_OVERHEAD`].
    bytes: usize,
    /// How many lines were lost since the start.
    lost: u64,
    /// How many of the lost lines were reported.
    reported: u64,
}

/// The number of lost lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Losses {
    /// Since the last report.
    pub(super) lines: u64,
    /// Since the start.
    pub(super) total: u64,
}

impl Queue {
    /// A queue of at most `max_bytes` in front of `output`. If lines were lost, `report` is called
    /// when lines can be written again, and by a flush. `report` may itself log.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        max_bytes: usize,
        report: impl Fn(Losses) + Send + Sync + 'static,
    ) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            state: Mutex::default(),
            max_bytes,
            filled: Condvar::new(),
            drained: Condvar::new(),
            report: Box::new(report),
        });
        let writer =
            Writer { queue: Arc::clone(&queue), output, is_torn: false, reported_at: None };
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(queue)
    }

    /// Adds a line, or drops it if it does not fit.
    pub(super) fn push(&self, line: &[u8]) {
        let size = size_of(line);
        let mut state = self.state();
        if state.bytes + size > self.max_bytes && !IS_WRITER.get() {
            state.lost = state.lost.saturating_add(1);
            return;
        }
        state.bytes += size;
        state.lines.push_back(line.into());
        self.filled.notify_one();
    }

    /// How many lines were lost since the start.
    pub(super) fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Waits until all lines are written, for at most `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        self.report_losses();
        let is_busy = |state: &mut State| state.bytes > 0;
        drop(self.drained.wait_timeout_while(self.state(), limit, is_busy));
    }

    /// Reports the lines that were lost since the last report. Returns `true` if there were any.
    fn report_losses(&self) -> bool {
        let mut state = self.state();
        let lines = state.lost.saturating_sub(state.reported);
        let losses = Losses { lines, total: state.lost };
        state.reported = state.lost;
        drop(state);
        let has_lost = losses.lines > 0;
        if has_lost {
            (self.report)(losses);
        }
        has_lost
    }

    /// The next line. `None` if lost lines are unreported and no line arrives within
    /// [`REPORT_PERIOD`].
    fn next(&self) -> Option<Box<[u8]>> {
        let is_empty = |state: &mut State| state.lines.is_empty();
        let state = self.state();
        let limit = if state.lost > state.reported { REPORT_PERIOD } else { Duration::MAX };
        let waited = self.filled.wait_timeout_while(state, limit, is_empty);
        waited.unwrap_or_else(PoisonError::into_inner).0.lines.pop_front()
    }

    fn done_with(&self, line: &[u8], is_written: bool) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(size_of(line));
        if !is_written {
            state.lost = state.lost.saturating_add(1);
        }
        if state.bytes == 0 {
            self.drained.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size_of(line: &[u8]) -> usize {
    line.len() + LINE_OVERHEAD
}

/// The output of tracing-subscriber, which writes each line in one call.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The writer thread.
struct Writer<W> {
    queue: Arc<Queue>,
    output: W,
    /// Whether the last line was only partly written.
    is_torn: bool,
    reported_at: Option<Instant>,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        IS_WRITER.set(true);
        let mut is_working = true;
        loop {
            if let Some(line) = self.queue.next() {
                is_working = self.write_line(&line).is_ok();
                self.queue.done_with(&line, is_working);
            }
            let is_due = self.reported_at.is_none_or(|at| at.elapsed() >= REPORT_PERIOD);
            if is_working && is_due && self.queue.report_losses() {
                self.reported_at = Some(Instant::now());
            }
        }
    }

    /// Writes a line, after a newline if the previous line was cut off. A line is written in one
    /// call, so that writes of other processes to the same pipe cannot split it.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.write(b"\n")?;
            self.is_torn = false;
        }
        self.write(line)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.output.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => pause(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a dedicated thread that serves no request")]
fn pause() {
    thread::sleep(BUSY_PAUSE);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// An output whose writes have scripted results.
    struct ScriptedOutput {
        results: Receiver<io::Result<usize>>,
        written: Sender<String>,
    }

    impl Write for ScriptedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = self.results.recv().unwrap()?.min(bytes.len());
            self.written.send(String::from_utf8(bytes[..length].to_vec()).unwrap()).unwrap();
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Fixture {
        queue: Arc<Queue>,
        results: Sender<io::Result<usize>>,
        written: Receiver<String>,
        reports: Receiver<Losses>,
    }

    fn fixture(lines: usize) -> Fixture {
        let (results, steps) = channel();
        let (written, writes) = channel();
        let (send, reports) = channel();
        let output = ScriptedOutput { results: steps, written };
        let send = Mutex::new(send);
        let report = move |losses| send.lock().unwrap().send(losses).unwrap();
        let queue = Queue::start(output, lines * size_of(b"line 0\n"), report).unwrap();
        Fixture { queue, results, written: writes, reports }
    }

    impl Fixture {
        fn push(&self, numbers: std::ops::Range<u32>) {
            for number in numbers {
                self.queue.push(format!("line {number}\n").as_bytes());
            }
        }

        fn write_lines(&self, count: usize) -> Vec<String> {
            for _ in 0..count {
                self.results.send(Ok(usize::MAX)).unwrap();
            }
            (0..count).map(|_| self.written.recv_timeout(LIMIT).unwrap()).collect()
        }
    }

    #[test]
    fn lines_beyond_the_capacity_are_counted_and_the_others_stay_in_order() {
        let fixture = fixture(3);

        fixture.push(0..8);
        assert_eq!(fixture.queue.lost(), 5);
        // Times out, because the output writes nothing.
        fixture.queue.flush(Duration::from_millis(20));

        assert_eq!(fixture.write_lines(3), ["line 0\n", "line 1\n", "line 2\n"]);
        assert_eq!(fixture.reports.recv_timeout(LIMIT).unwrap(), Losses { lines: 5, total: 5 });
        fixture.queue.flush(LIMIT);
        fixture.push(8..9);
        assert_eq!(fixture.write_lines(1), ["line 8\n"], "there is room again");
        assert!(fixture.reports.try_recv().is_err(), "nothing is reported twice");
    }

    #[test]
    fn failed_write_loses_its_line_and_the_next_line_follows_a_newline() {
        let fixture = fixture(9);

        fixture.push(0..3);
        fixture.results.send(Ok(4)).unwrap();
        fixture.results.send(Err(ErrorKind::StorageFull.into())).unwrap();
        fixture.results.send(Err(ErrorKind::StorageFull.into())).unwrap();
        for kind in [ErrorKind::Interrupted, ErrorKind::WouldBlock] {
            fixture.results.send(Err(kind.into())).unwrap();
        }

        assert_eq!(fixture.write_lines(3), ["line", "\n", "line 2\n"]);
        assert_eq!(fixture.reports.recv_timeout(LIMIT).unwrap(), Losses { lines: 2, total: 2 });
        assert_eq!(fixture.queue.lost(), 2);
    }
}
