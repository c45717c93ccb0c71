//! Settings: who may sign up.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

use crate::config::list::{List, list_of};
use crate::naming::ascii_domain;

/// Who may sign up.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sign-up")]
pub struct SignUpSettings {
    /// Who may sign up: `open`: anyone; `invite`: only with an invite; `closed`: nobody.
    #[arg(long, env = "SIGNET_SIGNUP", default_value = "open")]
    pub signup: SignUpMode,

    /// Domains whose email addresses may sign up, separated by commas or whitespace. Subdomains are
    /// not included, and an invite is valid for any domain. Default: all domains.
    #[arg(long, env = "SIGNET_SIGNUP_DOMAINS", value_parser = list_of(parse_mail_domain),
          default_value = "", hide_default_value = true)]
    pub signup_domains: List<String>,

    /// Lifetime of an invite, in seconds.
    #[arg(long, env = "SIGNET_INVITE_SECONDS", default_value = "604800",
          value_parser = value_parser!(u64).range(60..=7_776_000))]
    pub invite_seconds: u64,
}

impl SignUpSettings {
    /// Lifetime of an invite.
    #[must_use]
    pub fn invite_life(&self) -> Duration {
        Duration::from_secs(self.invite_seconds)
    }
}

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignUpMode {
    /// Anyone.
    Open,
    /// Only people with an invite.
    Invite,
    /// Nobody.
    Closed,
}

/// A domain in the form that it has in stored addresses.
fn parse_mail_domain(text: &str) -> Result<String, String> {
    let hint = "must be a domain such as example.com, without @ and without a wildcard";
    ascii_domain(text).ok_or_else(|| hint.to_owned())
}
