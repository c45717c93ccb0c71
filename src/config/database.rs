//! Settings: the database.

use std::path::PathBuf;

use clap::{Args, value_parser};
use url::Url;

/// The database and its connections.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// URL of the database: `sqlite:PATH`, or `postgres://…`. More than one instance requires
    /// PostgreSQL. The URL may contain a password, which is never shown.
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
    /// the database's disk stalls or many requests are queued. After this time the response is 503.
    /// While the database is known to be unreachable, requests get 503 within a second.
    #[arg(long, env = "SIGNET_DATABASE_WAIT_SECONDS", default_value = "5",
          value_parser = value_parser!(u64).range(1..=60))]
    pub database_wait_seconds: u64,
}

/// Parameters of a `postgres:` URL that are not secret and that libpq knows.
const SHOWN_PARAMETERS: [&str; 8] =
    ["dbname", "host", "port", "sslcert", "sslkey", "sslmode", "sslrootcert", "user"];

/// A database URL. It may contain a password, so its `Debug` output is redacted.
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

    /// The URL for messages and for libpq's programs: without the password, and without parameters
    /// that these programs do not know.
    #[must_use]
    pub fn without_password(&self) -> String {
        let Ok(mut url) = Url::parse(&self.0) else { return "(not shown)".to_owned() };
        if url.scheme() == "sqlite" {
            let file = self.sqlite_file().unwrap_or_default();
            let file = std::path::absolute(&file).unwrap_or(file);
            return format!("sqlite:{}", file.display());
        }
        // Fails only for URLs without a host, which have no password either.
        let _ = url.set_password(None);
        let shown: Vec<_> = url
            .query_pairs()
            .filter(|(name, _)| SHOWN_PARAMETERS.contains(&name.as_ref()))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !shown.is_empty() {
            url.query_pairs_mut().extend_pairs(shown);
        }
        url.to_string()
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

#[cfg(test)]
mod tests {
    use super::DatabaseUrl;

    #[test]
    fn shown_url_has_no_secret() {
        for (url, shown) in [
            ("postgres://ada:s3cret@db/signet", "postgres://ada@db/signet"),
            (
                "postgres://ada:s3cret@db/signet?password=s3cret&sslmode=require&application_name=x",
                "postgres://ada@db/signet?sslmode=require",
            ),
            ("postgres:///signet?host=/run/pg", "postgres:///signet?host=%2Frun%2Fpg"),
            ("sqlite:/data/signet.db?mode=rw", "sqlite:/data/signet.db"),
            ("sqlite:///data/signet.db", "sqlite:/data/signet.db"),
        ] {
            assert_eq!(DatabaseUrl::unchecked(url).without_password(), shown);
        }
    }
}
