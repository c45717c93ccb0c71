//! The options of a run.

use std::path::PathBuf;

use clap::ValueEnum;

/// What is measured, and for how long.
#[derive(Clone, clap::Args)]
pub(crate) struct Run {
    /// The program to measure.
    #[arg(long)]
    pub(crate) signet: PathBuf,
    /// An empty PostgreSQL database; a SQLite file of its own otherwise.
    #[arg(long, env = "BENCH_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Another build: print how this one compares with it instead of with the limits.
    #[arg(long)]
    pub(crate) against: Option<PathBuf>,
    /// An empty PostgreSQL database for the other build.
    #[arg(long, env = "BENCH_AGAINST_DATABASE_URL", hide_env_values = true)]
    pub(crate) against_database_url: Option<String>,
    /// Where the run's files are created; must be on a disk, since commits are measured.
    #[arg(long, default_value = "/var/tmp")]
    pub(crate) directory: PathBuf,
    /// Take less than a minute instead of a few: for a first look.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Number of rounds in which everything is measured.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Measure only this part in the rounds: to compare two builds, or to profile one with perf.
    #[arg(long)]
    pub(crate) only: Option<Part>,
}

/// A part of every round.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Part {
    Jwks,
    Refresh,
    Login,
    Storm,
    /// A thousand concurrent logins; once in a full run, but with `--only` in each round.
    Crowd,
    /// Priorities of the hashing threads compared; not part of a full run.
    Priority,
}

impl Run {
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}
