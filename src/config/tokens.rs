//! Settings: how long tokens, sessions and status lists live.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

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

/// What becomes of a session whose spent refresh token is shown to the JSON API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefreshReuse {
    /// It ends, outside the retry window (RFC 9700 §4.14.2).
    EndSession,
    /// It goes on; the token is refused at once, as the original application does.
    Refuse,
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
