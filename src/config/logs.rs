//! Settings: logging.

use clap::{Args, ValueEnum};

/// What is logged to standard output, and in which format.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// Log level: `error`, `warn`, `info`, `debug`, `trace`, or a `tracing` filter.
    #[arg(long, env = "SIGNET_LOG", default_value = "info")]
    pub log: String,

    /// `human`, or `json` for one JSON object per line.
    #[arg(long, env = "SIGNET_LOG_FORMAT", default_value = "human")]
    pub log_format: LogFormat,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// For a machine: one JSON object per line.
    Json,
}
