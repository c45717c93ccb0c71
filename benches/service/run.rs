//! The options of a run.

use std::path::PathBuf;

use clap::ValueEnum;

/// The options that determine what is measured, and for how long.
#[derive(Clone, clap::Args)]
pub(crate) struct Run {
    /// The program to measure.
    #[arg(long)]
    pub(crate) signet: PathBuf,
    /// The URL of an empty PostgreSQL database. Without it, a new SQLite file is used.
    #[arg(long, env = "BENCH_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// The folder of psql and pgbench. pgbench is the reference for refreshes on PostgreSQL.
    #[arg(long, env = "BENCH_POSTGRES_PROGRAMS")]
    pub(crate) postgres_programs: Option<PathBuf>,
    /// Another build of signet: both are measured in turns, and the result is their ratio.
    #[arg(long)]
    pub(crate) against: Option<PathBuf>,
    /// The URL of an empty PostgreSQL database for the other build.
    #[arg(long, env = "BENCH_AGAINST_DATABASE_URL", hide_env_values = true)]
    pub(crate) against_database_url: Option<String>,
    /// The directory for the run's files. It must be on a disk, because commits are measured.
    #[arg(long, default_value = "/var/tmp")]
    pub(crate) directory: PathBuf,
    /// Take less than a minute instead of several, for a first impression.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The file that the results are written to, as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// The file with the ratios that this run is compared with.
    #[arg(long, default_value = "benches/baseline.json")]
    pub(crate) baseline: PathBuf,
    /// Write the ratios of this run to the file of `--baseline`. Refused with `--quick`, whose
    /// short rounds are too inexact for a baseline.
    #[arg(long, conflicts_with_all = ["quick", "against"])]
    pub(crate) update_baseline: bool,
    /// Number of rounds. Each measures all parts except `priority`; with `--quick`, only the first
    /// one measures `crowd`.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Measure only this part in the rounds: for a comparison of two builds, or to profile a build.
    #[arg(long)]
    pub(crate) only: Option<Part>,
}

/// A part of a round.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Part {
    Jwks,
    #[value(name = "userinfo")]
    UserInfo,
    ClientCredentials,
    Refresh,
    Login,
    /// Requests for the key set during continuous logins.
    Storm,
    /// A thousand concurrent logins.
    Crowd,
    /// A comparison of priorities of the hashing threads. Measured only with `--only`.
    Priority,
}

impl Run {
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}
