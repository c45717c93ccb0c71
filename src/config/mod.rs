//! Every setting, read once at start-up from flags, `SIGNET_*` variables and `.env`.
//!
//! The `--help` text of a setting, its entry in `.env.example` and its row in
//! `docs/configuration.md` are generated from the doc comment of its field.

mod database;
mod environment;
mod keys;
mod limits;
mod list;
mod logs;
mod mail;
mod pages;
mod parse;
mod passwords;
mod reference;
mod restores;
mod scopes;
mod service;
mod signup;
mod tokens;

use clap::Args;

pub use database::{DatabaseSettings, DatabaseUrl};
pub use environment::{DotenvError, UnknownSettings, load_dotenv, refuse_unknown, unset_empty};
pub use keys::KeySettings;
pub use limits::LimitSettings;
pub use list::List;
pub use logs::{LogFormat, LogSettings};
pub use mail::{Encryption, MailSettings, MailTransport, SmtpServer};
pub use pages::{Color, Logo, PageSettings};
pub use passwords::{PasswordPolicy, PasswordSettings};
pub use reference::{env_example, markdown};
pub use restores::RestoreSettings;
pub use scopes::ScopeDescriptions;
pub use service::ServiceSettings;
pub use signup::{SignUpMode, SignUpSettings, VerifyEmail};
pub use tokens::{RefreshReuse, StatusSettings, TokenSettings};

/// All settings.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Issuer, listen address and connection limits.
    #[command(flatten)]
    pub service: ServiceSettings,
    /// Branding of the hosted pages.
    #[command(flatten)]
    pub pages: PageSettings,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// Master key and signing keys.
    #[command(flatten)]
    pub keys: KeySettings,
    /// Detection of restored backups.
    #[command(flatten)]
    pub restores: RestoreSettings,
    /// Lifetimes of tokens and sessions.
    #[command(flatten)]
    pub tokens: TokenSettings,
    /// Status lists.
    #[command(flatten)]
    pub status: StatusSettings,
    /// Password policy and hashing.
    #[command(flatten)]
    pub passwords: PasswordSettings,
    /// Who may sign up.
    #[command(flatten)]
    pub signup: SignUpSettings,
    /// Rate limits and attempt limits.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// Sending mail.
    #[command(flatten)]
    pub mail: MailSettings,
    /// Logging.
    #[command(flatten)]
    pub logs: LogSettings,
}

#[cfg(test)]
impl Config {
    /// Settings from command-line arguments.
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
