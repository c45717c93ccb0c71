//! Settings: logging.

use clap::{Args, ValueEnum};
use tracing::Level;

/// What is logged to standard output, and in which format.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// Log level: `error`, `warn`, `info`, `debug`, `trace`, or a `tracing` filter.
    #[arg(long, env = "SIGNET_LOG", default_value = "info", value_parser = parse_filter)]
    pub log: String,

    /// `human`, or `json` for one JSON object per line.
    #[arg(long, env = "SIGNET_LOG_FORMAT", default_value = "human")]
    pub log_format: LogFormat,
}

/// Refuses a number that is not a level. `tracing` would treat it as the name of a module, and
/// nothing would be logged.
fn parse_filter(text: &str) -> Result<String, String> {
    let is_invalid_number = |directive: &&str| {
        directive.starts_with(|c: char| c.is_ascii_digit()) && directive.parse::<Level>().is_err()
    };
    match text.split(',').map(str::trim).find(is_invalid_number) {
        Some(directive) => Err(format!("`{directive}` is not a level")),
        None => Ok(text.to_owned()),
    }
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// For a machine: one JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_that_is_not_a_log_level_is_refused() {
        for filter in ["info", "5", "signet=debug,info", "signet"] {
            assert_eq!(parse_filter(filter).as_deref(), Ok(filter));
        }
        for filter in ["6", "info, 6", "1e9"] {
            assert!(parse_filter(filter).is_err(), "{filter}");
        }
    }
}
