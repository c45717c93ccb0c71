//! Settings: the issuer, the listen address and the connection limits.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, value_parser};
use ipnet::IpNet;

use crate::config::list::{List, list_of};
use crate::config::parse::{parse_audience, parse_issuer, parse_listen, parse_origin, parse_proxy};

/// The issuer, the listen address and the connection limits.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceSettings {
    /// Public base URL, and the `iss` of every token, byte for byte. Defaults to
    /// `http://localhost:PORT` if Signet listens on a loopback address, and is required otherwise.
    /// Must be https, except for loopback hosts.
    #[arg(long, env = "SIGNET_ISSUER", value_parser = parse_issuer)]
    pub issuer: Option<String>,

    /// The `aud` of access tokens from the JSON API. Resource servers must require this `aud`.
    /// Defaults to the issuer.
    #[arg(long, env = "SIGNET_AUDIENCE", value_parser = parse_audience)]
    pub audience: Option<String>,

    /// Audiences whose access tokens have the `typ` JWT instead of `at+jwt`, separated by commas or
    /// whitespace: for resource servers whose decoder accepts no other `typ`, such as Spring
    /// Security's. Default: none.
    #[arg(long, env = "SIGNET_TYP_JWT_AUDIENCES", value_parser = list_of(parse_audience),
          default_value = "", hide_default_value = true)]
    pub typ_jwt_audiences: List<String>,

    /// IP address and port to listen on; port 0 lets the system choose. `localhost` is 127.0.0.1.
    /// `0.0.0.0` is all IPv4 addresses of the host, `[::]` all its addresses.
    #[arg(long, env = "SIGNET_LISTEN", default_value = "127.0.0.1:8080", value_parser = parse_listen)]
    pub listen: SocketAddr,

    /// Origins that may call the JSON API from a browser (CORS), separated by commas or whitespace.
    #[arg(
        long,
        env = "SIGNET_CORS_ORIGINS",
        default_value = "http://localhost:3000",
        value_parser = list_of(parse_origin)
    )]
    pub cors_origins: List<String>,

    /// Proxies whose `X-Forwarded-For` is trusted, as addresses or CIDR blocks separated by commas
    /// or whitespace. Default: none. A block that contains every address is refused.
    #[arg(long, env = "SIGNET_TRUSTED_PROXIES", value_parser = list_of(parse_proxy),
          default_value = "", hide_default_value = true)]
    pub trusted_proxies: List<IpNet>,

    /// Send logout tokens (back-channel logout) also to addresses in private networks and on this
    /// host. Set `true` only if everyone who registers clients may send requests to these addresses.
    #[arg(long, env = "SIGNET_LOGOUT_PRIVATE_NETWORKS", default_value = "false",
          action = clap::ArgAction::Set)]
    pub logout_private_networks: bool,

    /// Maximum number of concurrent connections; further connections wait in the system's listen
    /// backlog. A start reduces the number, with a warning, if the process may not open enough
    /// files (`ulimit -n`; about 100 are needed for other purposes).
    #[arg(long, env = "SIGNET_MAX_CONNECTIONS", default_value = "10000",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Maximum number of concurrent connections per client address; further connections are closed.
    /// Default: a tenth of the total. IPv6 addresses are grouped by `SIGNET_IPV6_PREFIX`; proxies
    /// in `SIGNET_TRUSTED_PROXIES` are exempt.
    #[arg(long, env = "SIGNET_MAX_CONNECTIONS_PER_CLIENT",
          value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub max_connections_per_client: Option<u32>,

    /// Seconds a client may take to send a request or to receive a response before it is
    /// disconnected.
    #[arg(long, env = "SIGNET_CLIENT_SECONDS", default_value = "30",
          value_parser = value_parser!(u64).range(1..=3600))]
    pub client_seconds: u64,

    /// Seconds that requests in progress get to finish after SIGTERM, before they are aborted.
    /// Should exceed 1.25 times `SIGNET_HASH_BACKLOG_SECONDS`, because a login may wait so long for
    /// its password hash. The stop timeout of the process manager must exceed this setting.
    #[arg(long, env = "SIGNET_DRAIN_SECONDS", default_value = "30",
          value_parser = value_parser!(u64).range(0..=600))]
    pub drain_seconds: u64,
}

impl ServiceSettings {
    /// After this time, a request that waits for a password hash gets 503. It is shorter than
    /// [`client_seconds`](Self::client_seconds), after which the client is disconnected without a
    /// response.
    #[must_use]
    pub fn hash_wait_timeout(&self) -> Duration {
        Duration::from_secs(self.client_seconds) * 9 / 10
    }
}
