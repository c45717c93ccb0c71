//! Every setting, read once at start-up from flags, `SIGNET_*` variables and `.env`.
//!
//! A field's doc comment is its `--help` text, its entry in `.env.example` and its row in
//! `docs/configuration.md`; there is no second place to describe a setting.

mod database;
mod environment;
mod keys;
mod limits;
mod list;
mod logs;
mod pages;
mod parse;
mod passwords;
mod reference;
mod restores;
mod scopes;
mod service;
mod tokens;

use clap::Args;

pub use database::{DatabaseSettings, DatabaseUrl};
pub use environment::{DotenvError, UnknownSettings, load_dotenv, refuse_unknown, unset_empty};
pub use keys::KeySettings;
pub use limits::LimitSettings;
pub use list::List;
pub use logs::{LogFormat, LogSettings};
pub use pages::{Color, Logo, PageSettings};
pub use passwords::{PasswordPolicy, PasswordSettings};
pub use reference::{env_example, markdown};
pub use restores::RestoreSettings;
pub use scopes::ScopeDescriptions;
pub use service::ServiceSettings;
pub use tokens::{RefreshReuse, StatusSettings, TokenSettings};

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
