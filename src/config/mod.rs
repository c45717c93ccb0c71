//! Every setting, read once at start-up from flags, `SIGNET_*` variables and `.env`.
//!
//! A field's doc comment is its `--help` text, its entry in `.env.example` and its row in
//! `docs/configuration.md`; there is no second place to describe a setting.

mod environment;
mod list;
mod pages;
mod parse;
mod reference;
mod restores;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use ipnet::IpNet;

use crate::config::parse::{
    parse_audience, parse_audiences, parse_database_url, parse_issuer, parse_listen, parse_origins,
    parse_proxies, parse_rsa_bits,
};

pub use environment::{DotenvError, UnknownSettings, load_dotenv, refuse_unknown, unset_empty};
pub use list::List;
pub use pages::{Color, Logo, PageSettings};
pub use reference::{env_example, markdown};
pub use restores::RestoreSettings;

/// Everything an operator can set.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Who Signet is and where it listens.
    #[command(flatten)]
    pub service: ServiceSettings,
    /// What the hosted pages look like.
    #[command(flatten)]
    pub pages: PageSettings,
    /// Where rows live.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// What signs tokens.
    #[command(flatten)]
    pub keys: KeySettings,
    /// What tells that an older backup was restored.
    #[command(flatten)]
    pub restores: RestoreSettings,
    /// How long tokens live.
    #[command(flatten)]
    pub tokens: TokenSettings,
    /// How services learn that a session has ended.
    #[command(flatten)]
    pub status: StatusSettings,
    /// Which passwords are accepted.
    #[command(flatten)]
    pub passwords: PasswordSettings,
    /// How often somebody may try.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// What is logged.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// Who Signet is and where it listens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceSettings {
    /// Public base URL: the `iss` of every token, byte for byte. Required unless Signet listens on
    /// a loopback address, where it defaults to `http://localhost:PORT`. Must be https elsewhere.
    #[arg(long, env = "SIGNET_ISSUER", value_parser = parse_issuer)]
    pub issuer: Option<String>,

    /// The `aud` of tokens from the JSON API: what your services must ask for. The issuer if unset.
    #[arg(long, env = "SIGNET_AUDIENCE", value_parser = parse_audience)]
    pub audience: Option<String>,

    /// Audiences whose access tokens have the `typ` JWT instead of `at+jwt`, separated by commas or
    /// blanks: for services whose decoder takes no other, as Spring Security's. None if unset.
    #[arg(long, env = "SIGNET_TYP_JWT_AUDIENCES", value_parser = parse_audiences,
          default_value = "", hide_default_value = true)]
    pub typ_jwt_audiences: List<String>,

    /// Address to listen on; port 0 lets the system choose. `localhost` is 127.0.0.1, and all
    /// addresses of the host are `0.0.0.0`, or `[::]` with IPv6.
    #[arg(long, env = "SIGNET_LISTEN", default_value = "127.0.0.1:8080", value_parser = parse_listen)]
    pub listen: SocketAddr,

    /// Front ends allowed to call the JSON API from a browser, as origins separated by commas or
    /// blanks.
    #[arg(
        long,
        env = "SIGNET_CORS_ORIGINS",
        default_value = "http://localhost:3000",
        value_parser = parse_origins
    )]
    pub cors_origins: List<String>,

    /// Proxies whose `X-Forwarded-For` is believed, as CIDR blocks separated by commas or blanks.
    /// None if unset. A block that contains every address is refused.
    #[arg(long, env = "SIGNET_TRUSTED_PROXIES", value_parser = parse_proxies,
          default_value = "", hide_default_value = true)]
    pub trusted_proxies: List<IpNet>,

    /// Tell clients of logouts also at addresses in private networks and on this host. `true` only
    /// if whoever registers clients may reach those, too.
    #[arg(long, env = "SIGNET_LOGOUT_PRIVATE_NETWORKS", default_value = "false",
          action = clap::ArgAction::Set)]
    pub logout_private_networks: bool,

    /// Connections served at once; further ones wait in the system's backlog. Fewer if the process
    /// may not open as many files (`ulimit -n`, of which some 100 are needed for other things); a line
    /// of the log says how many.
    #[arg(long, env = "SIGNET_MAX_CONNECTIONS", default_value = "10000",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Connections of one client address at once; further ones are closed. A tenth of those served
    /// at once if unset. IPv6 counts by `SIGNET_IPV6_PREFIX`; proxies of `SIGNET_TRUSTED_PROXIES` may
    /// have as many as there are.
    #[arg(long, env = "SIGNET_MAX_CONNECTIONS_PER_CLIENT",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub max_connections_per_client: Option<u32>,

    /// Seconds a client may take to send a request or to take an answer, before it is cut off.
    #[arg(long, env = "SIGNET_CLIENT_SECONDS", default_value = "30",
          value_parser = value_parser!(u64).range(1..=3600))]
    pub client_seconds: u64,

    /// Seconds that requests under way get to finish after SIGTERM; whatever stops the process must
    /// wait longer. Logins may wait `SIGNET_HASH_BACKLOG_SECONDS` and a quarter for their turn.
    #[arg(long, env = "SIGNET_DRAIN_SECONDS", default_value = "30",
          value_parser = value_parser!(u64).range(0..=600))]
    pub drain_seconds: u64,
}

impl ServiceSettings {
    /// How long a request waits for a password hash at most: the client is cut off after
    /// [`client_seconds`](Self::client_seconds), and gets an answer before.
    #[must_use]
    pub fn hash_patience(&self) -> Duration {
        Duration::from_secs(self.client_seconds) * 9 / 10
    }
}

/// Where rows live.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// `sqlite:PATH`, or `postgres://…` when there is more than one instance. It may hold a
    /// password and is never shown.
    #[arg(
        long,
        env = "SIGNET_DATABASE_URL",
        default_value = "sqlite:data/signet.db",
        hide_env_values = true
    )]
    pub database_url: DatabaseUrl,

    /// Connections to PostgreSQL for requests; up to five more are for tasks of the server. SQLite has
    /// one writer and four readers whatever this says.
    #[arg(long, env = "SIGNET_DATABASE_CONNECTIONS", default_value = "8",
          value_parser = value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,

    /// Longest time that a request waits for a database that is alive, in seconds: its disk may
    /// stall, or many may be asking. After it the answer is 503; a database that is found to be gone
    /// gets 503 within a second.
    #[arg(long, env = "SIGNET_DATABASE_WAIT_SECONDS", default_value = "5",
          value_parser = value_parser!(u64).range(1..=60))]
    pub database_wait_seconds: u64,
}

impl DatabaseSettings {
    /// Longest time that a request waits for the database.
    #[must_use]
    pub fn database_wait(&self) -> Duration {
        Duration::from_secs(self.database_wait_seconds)
    }
}

/// What signs tokens, and what protects it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeySettings {
    /// File with the master key, which seals the signing keys in the database. Made at the first
    /// start, with mode 0600. Back it up apart from the database.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    pub master_key_file: PathBuf,

    /// Modulus length of new signing keys, in bits: 2048, 3072 or 4096.
    #[arg(long, env = "SIGNET_RSA_BITS", default_value = "2048", value_parser = parse_rsa_bits)]
    pub rsa_bits: u32,

    /// Seconds that services may cache the key set.
    #[arg(long, env = "SIGNET_JWKS_MAX_AGE_SECONDS", default_value = "300",
          value_parser = value_parser!(u64).range(1..=86_400))]
    pub jwks_max_age_seconds: u64,

    /// Seconds until a signing key is replaced by a new one; 0 = only by `signet keys rotate`.
    #[arg(long, env = "SIGNET_KEY_ROTATION_SECONDS", default_value = "2592000")]
    pub key_rotation_seconds: u64,

    /// Seconds between two looks at the keys in the database. An instance that could not look for
    /// three times as long stops signing, with 503.
    #[arg(long, env = "SIGNET_KEY_RELOAD_SECONDS", default_value = "5",
          value_parser = value_parser!(u64).range(1..=3600))]
    pub key_reload_seconds: u64,

    /// Seconds by which the clocks of instances and services may differ.
    #[arg(long, env = "SIGNET_CLOCK_SKEW_SECONDS", default_value = "30",
          value_parser = value_parser!(u64).range(0..=600))]
    pub clock_skew_seconds: u64,

    /// Seconds that a new key is published before it signs. 1200 if unset, since libraries keep a key
    /// set for up to a quarter of an hour whatever it says of itself, or the least that is safe if that
    /// is more: the cache time of the key set, three reloads, and twice the clock skew; at least 30 s
    /// and the skew, for which libraries do not fetch again. Less than the least is refused.
    #[arg(long, env = "SIGNET_KEY_PUBLICATION_SECONDS")]
    pub key_publication_seconds: Option<u64>,

    /// For tests: leaves out the 1200 and the 30 seconds above. Services that use common libraries then
    /// refuse good tokens after each rotation. Each start logs a warning.
    #[arg(long, env = "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION", default_value = "false",
          action = clap::ArgAction::Set)]
    pub dangerously_short_key_publication: bool,

    /// Seconds that a key stays published after it stopped signing. The least that is safe if
    /// unset: the life of an access token, three reloads, and the clock skew; less is refused.
    #[arg(long, env = "SIGNET_KEY_RETENTION_SECONDS")]
    pub key_retention_seconds: Option<u64>,
}

/// How long tokens and sessions live.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct TokenSettings {
    /// Life of an access token from the JSON API, in seconds.
    #[arg(long, env = "SIGNET_ACCESS_TOKEN_SECONDS", default_value = "86400",
          value_parser = value_parser!(u64).range(1..=2_592_000))]
    pub access_token_seconds: u64,

    /// Life of a refresh token that is not used, in seconds; every refresh starts it anew.
    #[arg(long, env = "SIGNET_REFRESH_TOKEN_SECONDS", default_value = "1209600",
          value_parser = value_parser!(u64).range(1..=31_536_000))]
    pub refresh_token_seconds: u64,

    /// Life of a session however often it is refreshed, in seconds.
    #[arg(long, env = "SIGNET_SESSION_SECONDS", default_value = "2592000",
          value_parser = value_parser!(u64).range(1..=31_536_000))]
    pub session_seconds: u64,

    /// Life of a login on the hosted pages whose browser does not come to them, in seconds, told to
    /// within five minutes; at most that of a session. What clients got in it goes on.
    #[arg(long, env = "SIGNET_BROWSER_IDLE_SECONDS", default_value = "28800",
          value_parser = value_parser!(u64).range(60..=31_536_000))]
    pub browser_idle_seconds: u64,

    /// Seconds in which a refresh token shown again gets the same successor (a lost answer, a
    /// second tab) and does not count as stolen; 0 = every second showing ends the session.
    #[arg(long, env = "SIGNET_REFRESH_RETRY_SECONDS", default_value = "10",
          value_parser = value_parser!(u64).range(0..=60))]
    pub refresh_retry_seconds: u64,

    /// What a refresh token that is shown again to `/api/auth/refresh` brings, if it is no retry:
    /// `end-session`, since one of two who have it may be a thief. `refuse`: 401 and nothing else, and
    /// there are no retries there, as the original application has it; a thief who refreshes first
    /// keeps the session. Each start then logs a warning.
    #[arg(long, env = "SIGNET_REFRESH_REUSE", default_value = "end-session")]
    pub refresh_reuse: RefreshReuse,

    /// Days after which a session that is over is deleted, with the IP address and the browser's name
    /// that it was used with: after it was ended, or after `SIGNET_SESSION_SECONDS`.
    #[arg(long, env = "SIGNET_ENDED_SESSION_DAYS", default_value = "30",
          value_parser = value_parser!(u64).range(1..=36_500))]
    pub ended_session_days: u64,
}

impl TokenSettings {
    /// Life of an access token.
    #[must_use]
    pub fn access_token_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds)
    }

    /// Life of an unused refresh token.
    #[must_use]
    pub fn refresh_token_life(&self) -> Duration {
        Duration::from_secs(self.refresh_token_seconds)
    }

    /// Life of a session.
    #[must_use]
    pub fn session_life(&self) -> Duration {
        Duration::from_secs(self.session_seconds)
    }

    /// Life of a browser's login that is not used.
    #[must_use]
    pub fn browser_idle_life(&self) -> Duration {
        Duration::from_secs(self.browser_idle_seconds.min(self.session_seconds))
    }

    /// How long a session that is over is remembered.
    #[must_use]
    pub fn ended_session_retention(&self) -> Duration {
        Duration::from_hours(24 * self.ended_session_days)
    }

    /// How long the predecessor of the newest refresh token is tolerated.
    #[must_use]
    pub fn refresh_retry_window(&self) -> Duration {
        Duration::from_secs(self.refresh_retry_seconds)
    }
}

/// How services learn that a session has ended.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Status lists")]
pub struct StatusSettings {
    /// Seconds that a service may go on with the status list it has: a logout reaches it after at
    /// most as long, and two seconds. Each service fetches the list once in that time.
    #[arg(long, env = "SIGNET_STATUS_TTL_SECONDS", default_value = "10",
          value_parser = value_parser!(u64).range(1..=3600))]
    pub status_ttl_seconds: u64,

    /// Seconds that a service may go on with a status list if Signet cannot be reached; after that
    /// it refuses tokens. More than three times `SIGNET_STATUS_TTL_SECONDS`.
    #[arg(long, env = "SIGNET_STATUS_LIST_SECONDS", default_value = "3600",
          value_parser = value_parser!(u64).range(10..=604_800))]
    pub status_list_seconds: u64,
}

impl StatusSettings {
    /// Life of a signed status list.
    #[must_use]
    pub fn status_list_life(&self) -> Duration {
        Duration::from_secs(self.status_list_seconds)
    }

    /// Whether a list outlives the time that it may be held, with room for a fetch that fails.
    #[must_use]
    pub fn outlives_its_ttl(&self) -> bool {
        self.status_list_seconds > 3 * self.status_ttl_seconds
    }
}

/// Which passwords are accepted, and what hashing them may cost.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Passwords")]
pub struct PasswordSettings {
    /// `compat`: 8 to 128 characters with an upper-case letter, a lower-case letter and a digit.
    /// `nist`: 15 to 128 characters of any kind (NIST SP 800-63B-4). Both refuse common passwords
    /// and the account's own words. `original`: as `compat`, and common passwords are taken: for tests
    /// of clients of the original application alone; each start logs a warning.
    #[arg(long, env = "SIGNET_PASSWORD_POLICY", default_value = "compat")]
    pub password_policy: PasswordPolicy,

    /// Memory of one Argon2id hash, in KiB.
    #[arg(long, env = "SIGNET_ARGON2_MEMORY_KIB", default_value = "19456",
          value_parser = value_parser!(u32).range(19_456..=1_048_576))]
    pub argon2_memory_kib: u32,

    /// Passes of one Argon2id hash over its memory.
    #[arg(long, env = "SIGNET_ARGON2_ITERATIONS", default_value = "2",
          value_parser = value_parser!(u32).range(2..=16))]
    pub argon2_iterations: u32,

    /// Password hashes computed at once, each with its memory; 0 = one per core.
    #[arg(long, env = "SIGNET_HASH_THREADS", default_value = "0",
          value_parser = value_parser!(u32).range(0..=256))]
    pub hash_threads: u32,

    /// Seconds that the password hashes which have been admitted may take, by what was measured last;
    /// past it, 503 before any work is done. A quarter more for clients that have little waiting.
    #[arg(long, env = "SIGNET_HASH_BACKLOG_SECONDS", default_value = "20",
          value_parser = value_parser!(u64).range(1..=300))]
    pub hash_backlog_seconds: u64,
}

impl PasswordSettings {
    /// How long the password hashes that have been admitted may take.
    #[must_use]
    pub fn hash_backlog(&self) -> Duration {
        Duration::from_secs(self.hash_backlog_seconds)
    }

    /// What a request may wait for its hash at most, as far as can be told, and two seconds for the
    /// hash itself and the commit.
    #[must_use]
    pub fn longest_hash_wait(&self) -> Duration {
        self.hash_backlog() * 5 / 4 + Duration::from_secs(2)
    }
}

/// How often somebody may try.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Attempts per client address in any 60 s, on each endpoint that takes a password. Logins that
    /// succeed are not counted.
    #[arg(long, env = "SIGNET_ATTEMPTS_PER_MINUTE", default_value = "5",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub attempts_per_minute: u32,

    /// Sign-ups per client address in any 60 s. If it is not set: as `SIGNET_ATTEMPTS_PER_MINUTE`.
    #[arg(long, env = "SIGNET_SIGN_UPS_PER_MINUTE",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub sign_ups_per_minute: Option<u32>,

    /// Attempts at the password of one account in any 60 s, whatever addresses they come from, and
    /// whether or not they succeed.
    #[arg(long, env = "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE", default_value = "10",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub account_attempts_per_minute: u32,

    /// Refreshes per client address and minute, counted by each instance for itself; as many other
    /// changes by those who are logged in.
    #[arg(long, env = "SIGNET_REFRESHES_PER_MINUTE", default_value = "600",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub refreshes_per_minute: u32,

    /// Requests per minute of a client that has proved who it is (token and revocation endpoints
    /// together, and as many introspections), counted by each instance for itself.
    #[arg(long, env = "SIGNET_CLIENT_REQUESTS_PER_MINUTE", default_value = "60000",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub client_requests_per_minute: u32,

    /// Requests with an access token per client address and minute, counted by each instance for
    /// itself.
    #[arg(long, env = "SIGNET_REQUESTS_PER_MINUTE", default_value = "3000",
          value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub requests_per_minute: u32,

    /// Length of the IPv6 prefix that counts as one client, in bits.
    #[arg(long, env = "SIGNET_IPV6_PREFIX", default_value = "64",
          value_parser = value_parser!(u8).range(48..=128))]
    pub ipv6_prefix: u8,
}

impl LimitSettings {
    /// Sign-ups per client address in any 60 s.
    #[must_use]
    pub fn sign_ups(&self) -> u32 {
        self.sign_ups_per_minute.unwrap_or(self.attempts_per_minute)
    }
}

/// What is written to standard output.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or a `tracing` filter.
    #[arg(long, env = "SIGNET_LOG", default_value = "info")]
    pub log: String,

    /// `human`, or `json` for one object a line.
    #[arg(long, env = "SIGNET_LOG_FORMAT", default_value = "human")]
    pub log_format: LogFormat,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// For a machine: one JSON object per line.
    Json,
}

/// The rule that new passwords must meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PasswordPolicy {
    /// The original application's rule, plus the blocklist.
    Compat,
    /// NIST SP 800-63B-4 §3.1.1.2.
    Nist,
    /// The original application's rule alone.
    Original,
}

/// What becomes of a session whose spent refresh token is shown to the JSON API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefreshReuse {
    /// It ends, outside the retry window (RFC 9700 §4.14.2).
    EndSession,
    /// It goes on; the token is refused at once, as the original application does.
    Refuse,
}

/// A database URL, which may hold a password and so has no readable `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Wraps a URL whose scheme is known to be one of ours.
    #[must_use]
    pub fn unchecked(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The URL for the driver, password included.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The file behind a `sqlite:` URL.
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
        parse_database_url(text)
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

#[cfg(test)]
impl Config {
    /// Settings as a command line gives them.
    pub(crate) fn of(arguments: &[String]) -> Self {
        #[derive(clap::Parser)]
        struct Settings {
            #[command(flatten)]
            config: Config,
        }

        let arguments = std::iter::once("signet").chain(arguments.iter().map(String::as_str));
        <Settings as clap::Parser>::parse_from(arguments).config
    }
}
