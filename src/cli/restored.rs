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

/// What no command can bring about, since the backup does not know it.
const NOT_UNDONE: &str = "\
What was changed after the backup was made is as it was before. Set it right by hand, before you
start Signet:
- accounts that were deleted or disabled since are back, and enabled (signet account disable,
  delete);
- old passwords are good again, and new ones are not (signet account reset-password, or disable);
- old client secrets are good again, and clients that were deleted or narrowed are as they were
  (signet client list, rotate-secret --now, update, delete);
- what people took back from clients is allowed again;
- people who signed up since have no account, and audit events of that time are gone.";

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
        note(&StateFile::at(path, id::new(db.clock().now())), &declared)?;
        db.close().await;
        Ok(tell(&declared)?)
    }
}

/// A server that still has the file before open would write it over the restored one when it stops.
async fn lock(database: &DatabaseSettings) -> anyhow::Result<ServeLock> {
    ServeLock::take(database, Duration::ZERO).await.map_err(|error| match error {
        ServeLockError::InUse { file, .. } => anyhow::anyhow!(
            "a server still has the database file {} in use, and writes what it knows into it when \
             it stops: stop it, restore the backup again, and run `signet restored` then. Nothing \
             was changed",
            file.display()
        ),
        other => other.into(),
    })
}

/// The database has a name of its own now, so that each copy with the old one is an older one.
fn note(file: &StateFile, declared: &Declared) -> Result<(), OutputError> {
    let old = declared.before.name().map_or(Ok(()), |name| file.note_replaced(&name));
    let new = declared.after.name();
    let new = new.map_or(Ok(()), |name| file.note(&name, declared.after.commits));
    if let Err(error) = old.and(new) {
        let file = file.path().display();
        print(&format!(
            "WARNING: the state file {file} cannot be written ({error}): the next start warns that \
             it does not know this database, and does not notice if the same backup is restored \
             again"
        ))?;
    }
    Ok(())
}

fn tell(declared: &Declared) -> Result<(), OutputError> {
    let Declared { accounts, kid, .. } = declared;
    let accounts =
        if *accounts == 1 { "1 account".to_owned() } else { format!("{accounts} accounts") };
    print(&format!("all sessions of {accounts} have ended; clients are told once Signet runs"))?;
    print(&format!("all signing keys are revoked, and {kid} signs from now on"))?;
    print("refresh tokens, reset tokens, codes and cookies of before are void")?;
    print("status lists of before say of every session that it has ended")?;
    print_lines(NOT_UNDONE)?;
    print(
        "then start Signet; instances that run on PostgreSQL stop within seconds: start them again",
    )
}
