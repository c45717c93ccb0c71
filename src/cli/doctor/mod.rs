//! `signet doctor`: checks a running Signet as a verifier sees it, and reports faults with their
//! remedies.

mod clock;
mod documents;
mod fetch;
mod mail;
mod proxy;
mod report;
mod restores;
mod status_lists;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use uuid::Uuid;

use crate::cli::doctor::report::Report;
use crate::config::{DatabaseUrl, MailSettings, RestoreSettings};
use crate::database::StateFile;

/// Timeout per request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The issuer to check: the base URL that resource servers are configured with.
    issuer: String,
    /// Also check this database.
    #[arg(long, env = "SIGNET_DATABASE_URL", hide_env_values = true)]
    database_url: Option<DatabaseUrl>,
    /// File with the master key; the state file is next to it by default.
    #[arg(long, env = "SIGNET_MASTER_KEY_FILE", default_value = "keys/master.key")]
    master_key_file: PathBuf,
    #[command(flatten)]
    restores: RestoreSettings,
    #[command(flatten)]
    mail: MailSettings,
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot make an HTTP client")?;
        let mut report = Report::default();
        documents::examine(&http, self.issuer.trim_end_matches('/'), &mut report).await;
        mail::examine_server(&self.mail, &mut report).await;
        if let Some(url) = self.database_url {
            let state_file = self.restores.state_file(&self.master_key_file);
            let state_file = StateFile::at(state_file, Uuid::nil());
            storage::examine(url, &state_file, &mut report).await;
        }
        report.print()?;
        match report.faults() {
            0 => Ok(()),
            1 => bail!("1 fault"),
            faults => bail!("{faults} faults"),
        }
    }
}
