//! Settings: who Signet is, where it listens, and how it serves connections.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, value_parser};
use ipnet::IpNet;

use crate::config::list::List;
use crate::config::parse::{
    parse_audience, parse_audiences, parse_issuer, parse_listen, parse_origins, parse_proxies,
};

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
