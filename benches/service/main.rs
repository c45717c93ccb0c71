//! The service against the limits of the machine it runs on: started by `scripts/bench`.
//!
//! Each figure of the service stands beside what the machine can do at all, measured in the same
//! run, in turns: neighbours on the machine and the heat of its cores change both alike.
//! `docs/performance.md` says what each row means.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program prints, waits and reads the clock"
)]

mod breakdown;
mod client;
mod limits;
mod load;
mod plan;
mod priority;
mod process;
mod report;
mod stand_in;
mod tables;
mod users;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
struct Arguments {
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Measure a release build of signet.
    Run(Run),
    /// Serve a file's bytes with nothing but poem: the limit of the JWKS.
    ServeStatic {
        /// On 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// What every request gets.
        #[arg(long)]
        body: PathBuf,
    },
}

/// What is measured, and for how long.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// The program to measure.
    #[arg(long)]
    signet: PathBuf,
    /// An empty PostgreSQL database; a SQLite file of its own otherwise.
    #[arg(long, env = "BENCH_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Where the run's files are; must be on a disk, since commits are measured.
    #[arg(long, default_value = "/var/tmp")]
    directory: PathBuf,
    /// Under a minute instead of a few: for a first look.
    #[arg(long)]
    quick: bool,
    /// How often everything is measured in turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure nothing else in the rounds: to compare two builds, or to look at one with perf.
    #[arg(long)]
    only: Option<Part>,
}

/// A part of every round.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Jwks,
    Refresh,
    Login,
    Storm,
    /// A thousand logins at once; once in a whole run, and here in each round.
    Crowd,
    /// Priorities of the hashing threads, one against the other; in no whole run.
    Priority,
}

impl Run {
    fn measures(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Some(Task::Run(run)) => plan::measure(&run),
        Some(Task::ServeStatic { port, body }) => stand_in::serve(port, &body),
        None => {
            println!("to measure the service: scripts/bench");
            Ok(())
        }
    }
}
