//! What tells that an older backup of the database was restored.

use std::path::{Path, PathBuf};

use clap::Args;

/// What tells that an older backup was restored.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Restored backups")]
pub struct RestoreSettings {
    /// File in which each instance keeps, every few seconds, how far its database has got, so that
    /// an older backup is told from it. `signet.state` beside the master key file if unset. Must
    /// not be in the folder of the database, nor be restored with it; several instances may share
    /// one.
    #[arg(long, env = "SIGNET_STATE_FILE")]
    pub state_file: Option<PathBuf>,
}

impl RestoreSettings {
    /// The file, for the master key in this one.
    #[must_use]
    pub fn state_file(&self, master_key_file: &Path) -> PathBuf {
        self.state_file.clone().unwrap_or_else(|| master_key_file.with_file_name("signet.state"))
    }
}
