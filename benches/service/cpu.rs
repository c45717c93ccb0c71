//! CPU times of processes, from `/proc/PID/stat` (proc(5)).

use std::fs;
use std::time::Duration;

/// CPU time that all threads of a process have used so far. `process` is its id, or `self`.
pub(crate) fn cpu_time(process: &str) -> Duration {
    ticks(process, 14)
}

/// CPU time of the children of a process that have ended, and of their descendants.
pub(crate) fn ended_children_cpu_time(process: &str) -> Duration {
    ticks(process, 16)
}

/// The id of the parent of a process.
pub(crate) fn parent(process: &str) -> Option<String> {
    fields(process).into_iter().nth(1)
}

/// The sum of this field and the next one, which are user and system time in hundredths of a
/// second.
fn ticks(process: &str, field: usize) -> Duration {
    let fields = fields(process).into_iter().skip(field - 3).take(2);
    let ticks: u64 = fields.filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The fields from the third one. The second one, the name, may contain spaces.
fn fields(process: &str) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    fields.map(str::to_owned).collect()
}
