//! Backups by means of the database, without the commands of Signet.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::TestDatabase;

impl TestDatabase {
    /// The default path of the state file.
    pub fn state_file(&self) -> PathBuf {
        self.master_key_file().with_file_name("signet.state")
    }

    /// Backs up the database and replaces an earlier backup. On PostgreSQL, closes all connections
    /// of a running server.
    pub async fn back_up(&self) {
        if self.is_postgres() {
            self.copy_postgres("", "_backup").await;
        } else {
            let backup = self.backup_file();
            let _ = fs::remove_file(&backup);
            self.execute(&format!("VACUUM INTO '{}'", backup.display())).await;
        }
    }

    /// Replaces the database with its backup. The server must be stopped.
    pub async fn restore(&self) {
        if self.is_postgres() {
            self.copy_postgres("_backup", "").await;
            return;
        }
        let file = self.directory().join("signet.db");
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(file.with_file_name(format!("signet.db{suffix}")));
        }
        fs::remove_file(&file).unwrap();
        fs::copy(self.backup_file(), &file).unwrap();
        set_private(&file);
    }

    fn backup_file(&self) -> PathBuf {
        self.directory().join("backup.db")
    }
}

fn set_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
