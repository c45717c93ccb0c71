//! Settings: how the restore of an older backup of the database is detected.

use std::path::{Path, PathBuf};

use clap::Args;

/// How the restore of an older backup is detected.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Restored backups")]
pub struct RestoreSettings {
    /// File in which each instance records, every few seconds, how many commits its database has
    /// counted, so that a start detects a restored older backup. Default: `signet.state` next to
    /// the master key file. Must not be in the folder of the database, and must not be restored
    /// with the database. Several instances may share one file.
    #[arg(long, env = "SIGNET_STATE_FILE")]
    pub state_file: Option<PathBuf>,
}

impl RestoreSettings {
    /// The state file; by default in the folder of `master_key_file`.
    #[must_use]
    pub fn state_file(&self, master_key_file: &Path) -> PathBuf {
        self.state_file.clone().unwrap_or_else(|| master_key_file.with_file_name("signet.state"))
    }
}
