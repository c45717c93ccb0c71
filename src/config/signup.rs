//! Settings: who may sign up.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

use crate::config::list::{List, list_of};
use crate::naming::ascii_domain;

/// Who may sign up.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sign-up")]
pub struct SignUpSettings {
    /// Who may sign up. `open`: anyone. `invite`: only people with an invite. `closed`: nobody.
    #[arg(long, env = "SIGNET_SIGNUP", default_value = "open")]
    pub signup: SignUpMode,

    /// Domains of the email addresses with which users may sign up without an invite, separated by
    /// commas or whitespace. Subdomains are not included. Default: all domains.
    #[arg(long, env = "SIGNET_SIGNUP_DOMAINS", value_parser = list_of(parse_mail_domain),
          default_value = "", hide_default_value = true)]
    pub signup_domains: List<String>,

    /// Whether new users prove control of their email address, by the link or the code in a mail.
    /// `off`: no. `ask`: they are logged in at once, and the account page shows that the address is
    /// not verified. `require`: they get no session until the address is verified, and logins of
    /// accounts with an unverified address are refused. `ask` and `require` need `SIGNET_MAIL`.
    #[arg(long, env = "SIGNET_VERIFY_EMAIL", default_value = "off")]
    pub verify_email: VerifyEmail,

    /// Whether a sign-up reveals that its address has an account. `false`: every sign-up gets the
    /// same response, without tokens, and the address gets a mail. A new user confirms the sign-up
    /// with the link or the code of this mail, which creates the account, whatever
    /// `SIGNET_VERIFY_EMAIL` says. If the address has an account, the mail is a notice to its
    /// owner. Needs `SIGNET_MAIL`.
    #[arg(long, env = "SIGNET_SIGNUP_REVEALS_EXISTING", default_value = "true",
          action = clap::ArgAction::Set)]
    pub signup_reveals_existing: bool,

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

    /// Checks that mail is on (`is_mail_on`) if these settings need it.
    ///
    /// # Errors
    /// A message that says which settings to change.
    pub fn check(&self, is_mail_on: bool) -> Result<(), String> {
        if self.verify_email != VerifyEmail::Off && !is_mail_on {
            return Err(
                "SIGNET_VERIFY_EMAIL needs mail: set SIGNET_MAIL and SIGNET_MAIL_FROM, or \
                        set SIGNET_VERIFY_EMAIL to off"
                    .to_owned(),
            );
        }
        if !self.signup_reveals_existing && !is_mail_on {
            return Err(
                "SIGNET_SIGNUP_REVEALS_EXISTING=false needs mail, because sign-ups are confirmed \
                        by mail: set SIGNET_MAIL and SIGNET_MAIL_FROM, or set \
                        SIGNET_SIGNUP_REVEALS_EXISTING to true"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// Whether new users prove control of their address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyEmail {
    /// No.
    Off,
    /// The account page asks them to.
    Ask,
    /// They must, before their first session.
    Require,
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
