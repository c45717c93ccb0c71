//! Settings: lifetimes of tokens, sessions and status lists.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

/// Lifetimes of tokens and sessions.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct TokenSettings {
    /// Lifetime of an access token from the JSON API, in seconds.
    #[arg(long, env = "SIGNET_ACCESS_TOKEN_SECONDS", default_value = "86400",
          value_parser = value_parser!(u64).range(1..=2_592_000))]
    pub access_token_seconds: u64,

    /// Lifetime of an unused refresh token, in seconds; each refresh starts it anew.
    #[arg(long, env = "SIGNET_REFRESH_TOKEN_SECONDS", default_value = "1209600",
          value_parser = value_parser!(u64).range(1..=31_536_000))]
    pub refresh_token_seconds: u64,

    /// Maximum lifetime of a session, in seconds; refreshes do not extend it.
    #[arg(long, env = "SIGNET_SESSION_SECONDS", default_value = "2592000",
          value_parser = value_parser!(u64).range(1..=31_536_000))]
    pub session_seconds: u64,

    /// Idle timeout of a login on the hosted pages, in seconds; accurate to five minutes, at most
    /// the session lifetime. It does not end the client sessions that were opened through the
    /// login.
    #[arg(long, env = "SIGNET_BROWSER_IDLE_SECONDS", default_value = "28800",
          value_parser = value_parser!(u64).range(60..=31_536_000))]
    pub browser_idle_seconds: u64,

    /// Retry window, in seconds: a refresh token that is presented again in this time, after a lost
    /// response or by a second tab, gets the same successor and does not count as reuse. 0 = every
    /// reuse ends the session.
    #[arg(long, env = "SIGNET_REFRESH_RETRY_SECONDS", default_value = "10",
          value_parser = value_parser!(u64).range(0..=60))]
    pub refresh_retry_seconds: u64,

    /// What happens when a used refresh token is presented to `/api/auth/refresh` and the retry
    /// window does not apply. `end-session`: the session ends, since one of two holders may be an
    /// attacker. `refuse`: only 401, and there is no retry window, as in the original application;
    /// an attacker who refreshes first keeps the session. Each start then logs a warning.
    #[arg(long, env = "SIGNET_REFRESH_REUSE", default_value = "end-session")]
    pub refresh_reuse: RefreshReuse,

    /// Days after which a session that has ended or expired is deleted, together with its IP
    /// address and user agent. They count from the end of the session, or from its expiry by
    /// `SIGNET_SESSION_SECONDS`.
    #[arg(long, env = "SIGNET_ENDED_SESSION_DAYS", default_value = "30",
          value_parser = value_parser!(u64).range(1..=36_500))]
    pub ended_session_days: u64,
}

impl TokenSettings {
    /// Lifetime of an access token.
    #[must_use]
    pub fn access_token_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds)
    }

    /// Lifetime of an unused refresh token.
    #[must_use]
    pub fn refresh_token_life(&self) -> Duration {
        Duration::from_secs(self.refresh_token_seconds)
    }

    /// Maximum lifetime of a session.
    #[must_use]
    pub fn session_life(&self) -> Duration {
        Duration::from_secs(self.session_seconds)
    }

    /// Idle timeout of a browser session.
    #[must_use]
    pub fn browser_idle_life(&self) -> Duration {
        Duration::from_secs(self.browser_idle_seconds.min(self.session_seconds))
    }

    /// How long a session is stored after its end or expiry.
    #[must_use]
    pub fn ended_session_retention(&self) -> Duration {
        Duration::from_hours(24 * self.ended_session_days)
    }

    /// The retry window: for how long the immediate predecessor of the newest refresh token gets
    /// the same successor.
    #[must_use]
    pub fn refresh_retry_window(&self) -> Duration {
        Duration::from_secs(self.refresh_retry_seconds)
    }
}

/// What happens to a session when a refresh token that was already used is presented to the JSON
/// API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefreshReuse {
    /// The session ends, except in the retry window (RFC 9700 §4.14.2).
    EndSession,
    /// The session continues; the token is refused at once, as in the original application.
    Refuse,
}

/// Lifetimes of status lists, by which resource servers learn of ended sessions.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Status lists")]
pub struct StatusSettings {
    /// Seconds that a resource server may use a cached status list. A logout takes effect at a
    /// resource server after at most these seconds plus two. Each resource server fetches the list
    /// once in this time.
    #[arg(long, env = "SIGNET_STATUS_TTL_SECONDS", default_value = "10",
          value_parser = value_parser!(u64).range(1..=3600))]
    pub status_ttl_seconds: u64,

    /// Seconds that a resource server may use a status list while Signet is unreachable; after that
    /// it refuses tokens. Must be more than three times `SIGNET_STATUS_TTL_SECONDS`.
    #[arg(long, env = "SIGNET_STATUS_LIST_SECONDS", default_value = "3600",
          value_parser = value_parser!(u64).range(10..=604_800))]
    pub status_list_seconds: u64,
}

impl StatusSettings {
    /// Lifetime of a signed status list.
    #[must_use]
    pub fn status_list_life(&self) -> Duration {
        Duration::from_secs(self.status_list_seconds)
    }
}
