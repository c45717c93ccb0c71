//! `signet config`

use clap::Subcommand;

use crate::cli::output::print_lines;
use crate::config::{env_example, markdown};
use crate::domain::audit;

#[derive(Debug, Subcommand)]
pub(super) enum Reference {
    /// Print a commented `.env` file.
    EnvExample,
    /// Print the page docs/configuration.md.
    Markdown,
    /// Print the page docs/audit-events.md.
    AuditEvents,
}

impl Reference {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let text = match self {
            Self::EnvExample => env_example(),
            Self::Markdown => markdown(),
            Self::AuditEvents => audit::markdown(),
        };
        Ok(print_lines(text.trim_end())?)
    }
}
