//! Settings: the database.

use std::path::PathBuf;

use clap::{Args, value_parser};
use url::Url;

/// The database and its connections.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// `sqlite:PATH`, or `postgres://…`, which is required for more than one instance. May contain
    /// a password and is never shown.
    #[arg(
        long,
        env = "SIGNET_DATABASE_URL",
        default_value = "sqlite:data/signet.db",
        hide_env_values = true
    )]
    pub database_url: DatabaseUrl,

    /// PostgreSQL connections for requests; background tasks use up to five more. SQLite always has
    /// one writer and four readers.
    #[arg(long, env = "SIGNET_DATABASE_CONNECTIONS", default_value = "8",
          value_parser = value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,

    /// Maximum time that a request waits for a reachable database, in seconds, for example while
    /// its disk stalls or many requests are queued. After this time the response is 503. While the
    /// database is known to be unreachable, requests get 503 within a second.
    #[arg(long, env = "SIGNET_DATABASE_WAIT_SECONDS", default_value = "5",
          value_parser = value_parser!(u64).range(1..=60))]
    pub database_wait_seconds: u64,
}

/// A database URL; its `Debug` output is redacted because it may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Wraps a URL without validation; the caller guarantees that the scheme is supported.
    #[must_use]
    pub fn unchecked(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The URL for the driver, password included.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The file of a `sqlite:` URL; `None` for other databases.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let path = self.0.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty: remove the setting, or give it a value".to_owned());
        }
        let known = ["sqlite:", "postgres:", "postgresql:"].iter().any(|s| text.starts_with(s));
        if !known {
            return Err("must start with sqlite: or postgres:".to_owned());
        }
        if !text.starts_with("sqlite:") && Url::parse(text).is_err() {
            let hint = "special characters of the password must be percent-encoded";
            return Err(format!("is not a URL; {hint}"));
        }
        if text.contains(":memory:") || text.contains("mode=memory") {
            return Err("must not be in memory: all accounts would be lost at exit".to_owned());
        }
        Ok(Self::unchecked(text))
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}
