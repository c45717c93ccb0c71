//! `signet restore`

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::cli::output::{OutputError, print, print_lines};
use crate::cli::postgres_tools::{PASSWORD, restore_line};
use crate::cli::restored::{print_result, update_state_file};
use crate::clock::Clock;
use crate::config::{DatabaseSettings, KeySettings, RestoreSettings};
use crate::database::{BackupFile, Db, Lineage, Replacement, StateFile, migrate_up};
use crate::domain::id;
use crate::domain::keys::{MasterKeys, Sealer};
use crate::domain::restore::{self, Contents, Declared};
use crate::timestamp::Timestamp;

/// What `--keep-sessions` risks.
const KEPT_SESSIONS: &str = "\
WARNING: all sessions are as in the backup (--keep-sessions). What ended after the backup was made
is valid again: sessions that were logged out, disabled and deleted accounts, old passwords, client
secrets and consents, revoked signing keys. The status list no longer lists those sessions as ended.
Users who have refreshed since then have a newer refresh token than the backup: its use counts as
token theft and ends the session. Unless nothing was changed after the backup, run `signet restored`
now.";

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup, as `signet backup` writes it. It is not changed.
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    /// Only check the backup and print what it contains. Writes nothing; servers may run. Only for
    /// SQLite.
    #[arg(long, conflicts_with_all = ["replace", "keep_sessions"])]
    verify: bool,
    /// Replace an existing database, which is kept under another name. The command prints this
    /// name.
    #[arg(long)]
    replace: bool,
    /// Leave the sessions and the signing keys of the backup valid.
    ///
    /// This is safe only if nothing was changed after the backup was made, for example if Signet
    /// was stopped before and not started again. Otherwise, what was revoked since then is valid
    /// again.
    #[arg(long)]
    keep_sessions: bool,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    restores: RestoreSettings,
}

/// The copy of the backup, prepared to replace the database.
enum Prepared {
    /// Everything that was issued before the restore is invalid.
    Declared(Declared),
    /// Sessions and keys stay valid.
    Kept(Lineage),
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let url = &self.database.database_url;
        if url.sqlite_file().is_none() {
            if self.verify {
                bail!(
                    "only backups of SQLite databases can be verified; nothing was checked. Check a \
                     backup of PostgreSQL by restoring it into an empty database with pg_restore"
                );
            }
            print(&restore_line(url, &self.backup))?;
            print("signet restored")?;
            bail!(
                "nothing was restored: a PostgreSQL database is restored by its own pg_restore. \
                 Stop all instances and run the printed lines on an empty database; {PASSWORD}"
            );
        }
        // Only an existing master key can belong to a backup.
        let master = MasterKeys::open(&self.keys.master_key_file, true)?;
        let sealer = master.sealer()?;
        if self.verify {
            let contents = restore::examine(BackupFile::open(&self.backup).await?, &sealer).await?;
            print_contents(&contents)?;
            return Ok(print("the backup can be restored. Nothing was changed")?);
        }
        self.restore(&sealer).await
    }

    async fn restore(&self, sealer: &Sealer) -> anyhow::Result<()> {
        let replacement = Replacement::prepare(&self.database, &self.backup, self.replace).await?;
        let contents = restore::examine(replacement.open_copy().await?, sealer).await?;
        print_contents(&contents)?;
        let db = Db::open(&replacement.settings(&self.database), Clock::shared()).await?;
        let prepared = self.prepare(&db, sealer).await;
        let now = db.clock().now();
        db.close().await;
        let prepared = prepared?;
        if let Some(old) = replacement.switch(&suffix_of_old_database(now)).await? {
            print(&format!("the old database is now {}", old.display()))?;
        }
        print("the database is restored")?;
        let path = self.restores.state_file(&self.keys.master_key_file);
        let state_file = StateFile::at(path, id::new(now));
        match prepared {
            Prepared::Declared(declared) => {
                update_state_file(&state_file, &declared)?;
                Ok(print_result(&declared)?)
            }
            Prepared::Kept(lineage) => {
                accept(&state_file, &lineage)?;
                Ok(print_lines(KEPT_SESSIONS)?)
            }
        }
    }

    /// Migrates the copy, and invalidates what was issued before, except with `--keep-sessions`.
    async fn prepare(&self, db: &Db, sealer: &Sealer) -> anyhow::Result<Prepared> {
        migrate_up(db).await?;
        if self.keep_sessions {
            return Ok(Prepared::Kept(restore::record_kept_sessions(db).await?));
        }
        Ok(Prepared::Declared(restore::declare(db, sealer, self.keys.rsa_bits).await?))
    }
}

/// Makes the state file accept the restored database, which has a lower count of commits than the
/// old one.
fn accept(file: &StateFile, lineage: &Lineage) -> Result<(), OutputError> {
    let Some(name) = lineage.name() else { return Ok(()) };
    if let Err(error) = file.accept(&name, lineage.commits) {
        let file = file.path().display();
        print(&format!(
            "WARNING: the state file {file} cannot be written ({error}): the next start may refuse \
             this database as older than the one served before"
        ))?;
    }
    Ok(())
}

fn print_contents(Contents { counts, kids }: &Contents) -> Result<(), OutputError> {
    print(&format!("accounts: {}, sessions: {}", counts.accounts, counts.sessions))?;
    for kid in kids {
        print(&format!("signing key: {kid}"))?;
    }
    if counts.pending > 0 {
        print(&format!("older schema: {} migrations are applied to it", counts.pending))?;
    }
    Ok(())
}

/// The suffix of the old database's new name: `-before-restore-20260114T100000Z`.
fn suffix_of_old_database(now: Timestamp) -> String {
    format!("-before-restore-{}", now.to_rfc3339().replace(['-', ':'], ""))
}
