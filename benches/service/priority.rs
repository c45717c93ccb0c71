//! Compares priorities of the hashing threads by their effect on requests that need no hash.
//!
//! This program sets each priority on the server's threads in turn, with and without other programs
//! that keep all cores busy. On Linux with `sched_autogroup_enabled`, nice values apply only among
//! the processes of one Unix session. Processes of other sessions get their share regardless of
//! nice values. So both the server and the busy programs are children of this program.

use std::fs;
use std::process::{Child, Command};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, setpriority_process};

use crate::load::{self, Work};
use crate::process::Process;
use crate::report::{Series, Table};
use crate::users::User;
use crate::workload::{CONNECTIONS, LOG_INS, LOW_RATE, STORM, distribute};

/// Nice values, from the lowest priority to that of all other threads.
const NICE: [i32; 4] = [19, 10, 5, 0];

/// Results of logins and key set requests, with a cell for each priority, without and with busy
/// programs.
#[derive(Default)]
pub(crate) struct Priorities {
    alone: [Cell; NICE.len()],
    busy: [Cell; NICE.len()],
    /// The p99 of requests at the low rate without logins, in milliseconds: without and with busy
    /// programs.
    without_logins: [Series; 2],
    rounds: usize,
    /// The number of failed requests.
    failed: u64,
}

#[derive(Default)]
struct Cell {
    /// Logins per second during a flood of requests for the key set.
    logins_in_flood: Series,
    /// Requests for the key set per second in the flood.
    flood: Series,
    /// The p99 of the requests in the flood, in milliseconds.
    flood_p99: Series,
    /// Logins per second during 1,000 requests per second for the key set.
    logins_at_low_rate: Series,
    /// The p99 of the requests at this low rate, in milliseconds.
    low_rate_p99: Series,
}

impl Priorities {
    /// Measures every cell once.
    pub(crate) fn round(
        &mut self,
        server: &Process,
        users: &mut Vec<User>,
        unit: Duration,
    ) -> anyhow::Result<()> {
        let is_reversed = !self.rounds.is_multiple_of(2);
        self.rounds += 1;
        let [alone_p99, busy_p99] = &mut self.without_logins;
        let backgrounds =
            [(0, &mut self.alone, alone_p99), (load::cores(), &mut self.busy, busy_p99)];
        for (programs, cells, p99) in backgrounds {
            let _busy_programs = BusyPrograms::start(programs)?;
            let (clients, pause) = LOW_RATE;
            let outcome = load::run(server.address, Work::jwks(clients, pause), unit)?;
            self.failed += outcome.failed();
            p99.push(outcome.percentile(99));
            let mut turns: Vec<_> = NICE.into_iter().zip(cells).collect();
            if is_reversed {
                turns.reverse();
            }
            for (nice, cell) in turns {
                server.set_priority("signet-hash-", nice)?;
                self.failed += cell.measure(server, users, unit)?;
            }
        }
        Ok(())
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = Table::default();
        table.head(&[
            "nice",
            "busy programs",
            "logins /s beside a flood",
            "key set requests /s in the flood",
            "their p99, ms",
            "logins /s beside 1,000 key set requests /s",
            "p99 of these requests, ms",
        ]);
        for (programs, cells) in [("none", &self.alone), ("one per core", &self.busy)] {
            for (nice, cell) in NICE.iter().zip(cells) {
                table.line(&[
                    &nice.to_string(),
                    programs,
                    &cell.logins_in_flood.spread(),
                    &cell.flood.spread(),
                    &cell.flood_p99.spread(),
                    &cell.logins_at_low_rate.spread(),
                    &cell.low_rate_p99.spread(),
                ]);
            }
        }
        let [alone_p99, busy_p99] = &self.without_logins;
        table.blank();
        table.head(&["without logins", "p99 at 1,000 key set requests /s, ms"]);
        table.line(&["no busy programs", &alone_p99.spread()]);
        table.line(&["one busy program per core", &busy_p99.spread()]);
        table.line(&["failed requests", &self.failed.to_string()]);
        table
    }
}

impl Cell {
    /// Runs logins beside the flood, then beside the low rate. Returns the number of failed
    /// requests.
    fn measure(
        &mut self,
        server: &Process,
        users: &mut Vec<User>,
        unit: Duration,
    ) -> anyhow::Result<u64> {
        let flood = Work::jwks(CONNECTIONS, Duration::ZERO);
        let (logins, flood) = run_with_logins(server, users, LOG_INS, flood, unit)?;
        self.logins_in_flood.push(logins.rate());
        self.flood.push(flood.rate());
        self.flood_p99.push(flood.percentile(99));
        let (clients, pause) = LOW_RATE;
        let failed = logins.failed() + flood.failed();
        let (logins, low_rate) =
            run_with_logins(server, users, STORM, Work::jwks(clients, pause), unit)?;
        self.logins_at_low_rate.push(logins.rate());
        self.low_rate_p99.push(low_rate.percentile(99));
        Ok(failed + logins.failed() + low_rate.failed())
    }
}

/// Runs logins on `connections` connections, and `other` at the same time. Returns both outcomes.
fn run_with_logins(
    server: &Process,
    users: &mut Vec<User>,
    connections: usize,
    other: Vec<Work>,
    unit: Duration,
) -> anyhow::Result<(load::Outcome, load::Outcome)> {
    let work = distribute(users, connections, |users| Work::LogIn { users, next: 0 });
    let lead = Duration::from_millis(300);
    let (mut logins, other) = thread::scope(|scope| {
        let thread = scope.spawn(|| load::run(server.address, work, unit + 2 * lead));
        sleep(lead);
        let other = load::run(server.address, other, unit)?;
        let logins =
            thread.join().unwrap_or_else(|_| bail!("the thread of the logins panicked"))?;
        anyhow::Ok((logins, other))
    })?;
    *users = Work::into_users(std::mem::take(&mut logins.work));
    Ok((logins, other))
}

impl Process {
    /// Sets the priority of the threads whose name begins with `name`.
    fn set_priority(&self, name: &str, nice: i32) -> anyhow::Result<()> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let thread = thread?;
            if fs::read_to_string(thread.path().join("comm"))?.starts_with(name) {
                let id = thread.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
                setpriority_process(id, nice).context("only root may raise a priority")?;
            }
        }
        Ok(())
    }
}

/// Programs that only consume CPU time.
struct BusyPrograms(Vec<Child>);

impl BusyPrograms {
    fn start(programs: usize) -> anyhow::Result<Self> {
        let mut busy = Self(Vec::new());
        for _ in 0..programs {
            let spin = ["--pdeathsig=KILL", "--", "sh", "-c", "while :; do :; done"];
            busy.0.push(Command::new("setpriv").args(spin).spawn()?);
        }
        Ok(busy)
    }
}

impl Drop for BusyPrograms {
    fn drop(&mut self) {
        for program in &mut self.0 {
            drop(program.kill());
            drop(program.wait());
        }
    }
}
