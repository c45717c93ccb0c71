//! `signet restored`

use std::time::Duration;

use clap::Args;

use crate::cli::output::{OutputError, print, print_lines};
use crate::clock::Clock;
use crate::config::{DatabaseSettings, KeySettings, RestoreSettings};
use crate::database::{Db, ServeLock, ServeLockError, StateFile, migrate_up};
use crate::domain::id;
use crate::domain::keys::{self, MasterKeys};
use crate::domain::restore::{self, Declared};

/// The changes that the restore has undone, and that the operator must repeat.
pub(super) const TO_REPEAT: &str = "\
All changes made after the backup are undone. Correct these by hand before you start Signet:
- accounts that were deleted or disabled since exist again and are enabled (signet account
  disable, delete);
- old passwords are valid again, and new ones are not (signet account reset-password, or disable);
- old client secrets are valid again, and clients that were deleted or restricted are as before
  (signet client list, rotate-secret --now, update, delete);
- consents that users withdrew are granted again.
Accounts that were created since, and audit events of that time, are lost.";

#[derive(Debug, Args)]
pub(super) struct Restored {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    restores: RestoreSettings,
}

impl Restored {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let db = Db::open(&self.database, Clock::shared()).await?;
        let _lock = lock(&self.database).await?;
        migrate_up(&db).await?;
        let master = MasterKeys::open(&self.keys.master_key_file, true)?;
        let sealer = master.sealer()?;
        keys::check_sealed(&db, &sealer).await?;
        let declared = restore::declare(&db, &sealer, self.keys.rsa_bits).await?;
        let path = self.restores.state_file(&self.keys.master_key_file);
        update_state_file(&StateFile::at(path, id::new(db.clock().now())), &declared)?;
        db.close().await;
        Ok(print_result(&declared)?)
    }
}

/// Acquires the serve lock. Fails while a server is running: a server that still has the replaced
/// file open would overwrite the restored file when it stops.
async fn lock(database: &DatabaseSettings) -> anyhow::Result<ServeLock> {
    ServeLock::take(database, Duration::ZERO).await.map_err(|error| match error {
        ServeLockError::InUse { file, .. } => anyhow::anyhow!(
            "a server is still using the database file {} and writes to it when it stops: stop it, \
             restore the backup again, and then run `signet restored`. Nothing was changed",
            file.display()
        ),
        other => other.into(),
    })
}

/// Records the new name of the database in the state file, so that every copy with the old name is
/// detected as older.
pub(super) fn update_state_file(file: &StateFile, declared: &Declared) -> Result<(), OutputError> {
    let old = declared.before.name().map_or(Ok(()), |name| file.note_replaced(&name));
    let new = declared.after.name();
    let new = new.map_or(Ok(()), |name| file.note(&name, declared.after.commits));
    if let Err(error) = old.and(new) {
        let file = file.path().display();
        print(&format!(
            "WARNING: the state file {file} cannot be written ({error}): the next start warns that \
             the state file does not record this database, and does not detect whether the same \
             backup is restored again"
        ))?;
    }
    Ok(())
}

pub(super) fn print_result(declared: &Declared) -> Result<(), OutputError> {
    let Declared { accounts, kid, .. } = declared;
    let accounts =
        if *accounts == 1 { "1 account".to_owned() } else { format!("{accounts} accounts") };
    print(&format!(
        "all sessions of {accounts} have ended; clients are notified once Signet runs"
    ))?;
    print(&format!("all signing keys are revoked, and {kid} signs from now on"))?;
    print("all earlier refresh tokens, reset tokens, authorization codes and cookies are invalid")?;
    print("all earlier status lists mark every session as ended")?;
    print_lines(TO_REPEAT)?;
    print("then start Signet; running instances on PostgreSQL stop within seconds: restart them")
}
