//! Detects at start-up, by the state file, that an older backup of the database was restored, or
//! that the database was lost. Keeps the state file up to date.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Clock;
use crate::config::Config;
use crate::database::{Comparison, Db, Lineage, StateFile};
use crate::domain::id;

/// How often the state file is updated. A restored backup that is younger than this interval cannot
/// be distinguished from the current database.
const UPDATE_INTERVAL: Duration = Duration::from_secs(3);

/// The database is not the one that was served before.
#[derive(Debug, thiserror::Error)]
pub enum OtherDatabase {
    /// An older backup of the database was restored.
    #[error(
        "the database is older than the one that was served before: it has counted {commits} \
         commits, fewer than {file} has recorded. If a backup was restored, sessions that have \
         ended, disabled accounts and spent tokens would work again: see \"Restoring a backup\" in \
         docs/operations.md, and run `signet restored`, which ends all sessions and replaces the \
         signing key. If no backup was restored, check whether SIGNET_DATABASE_URL names a copy. \
         Nothing was changed"
    )]
    Older {
        /// The commit counter of the database.
        commits: i64,
        /// The state file.
        file: PathBuf,
    },
    /// The database is empty. Probably the volume of the database was lost or not mounted.
    #[error(
        "the database is empty, and {file} (SIGNET_STATE_FILE) records another database that was \
         served before. If that database was lost, restore a backup (`signet restore --replace \
         FILE`, or `pg_restore` and `signet restored`). If SIGNET_DATABASE_URL is wrong or a volume \
         is not mounted, correct that. To begin with a new, empty database, run `signet database \
         create` once. Nothing was changed"
    )]
    Empty {
        /// The state file.
        file: PathBuf,
    },
    /// The database has accounts, for example imported ones, but was never served.
    #[error(
        "the database has accounts, but was never served: it has no signing key. {file} \
         (SIGNET_STATE_FILE) records another database that was served before. If these are the \
         accounts that you want to serve, for example after an import, run `signet database create` \
         once: it creates the first signing key, and keeps the accounts. Otherwise correct \
         SIGNET_DATABASE_URL. Nothing was changed"
    )]
    NeverServed {
        /// The state file.
        file: PathBuf,
    },
}

/// Maintains the state file of this instance.
pub(super) struct StateKeeper {
    file: StateFile,
    /// The name in the lineage of the database.
    name: String,
    /// The id of the last restore, at the start of this server.
    restore: Option<Uuid>,
    /// The commit count that was read at the start. It is written even if this server commits
    /// nothing.
    initial_commits: i64,
    is_failing: AtomicBool,
}

/// The configured state file.
fn state_file(config: &Config, clock: &Clock) -> StateFile {
    let path = config.restores.state_file(&config.keys.master_key_file);
    StateFile::at(path, id::new(clock.now()))
}

/// Refuses a database that has counted fewer commits than the state file has recorded for it. Also
/// refuses a database that was never served, if the state file has recorded another database.
/// Changes nothing. `has_accounts` says whether a database without signing keys has accounts.
pub(super) fn refuse_other_database(
    config: &Config,
    lineage: &Lineage,
    has_accounts: bool,
    clock: &Clock,
) -> Result<(), OtherDatabase> {
    let file = state_file(config, clock);
    let path = file.path().display();
    match file.compare(lineage) {
        Ok(Comparison::Older) => {
            let (commits, file) = (lineage.commits, file.path().to_owned());
            return Err(OtherDatabase::Older { commits, file });
        }
        Ok(Comparison::New) if !file.is_empty() => {
            let file = file.path().to_owned();
            return Err(if has_accounts {
                OtherDatabase::NeverServed { file }
            } else {
                OtherDatabase::Empty { file }
            });
        }
        Ok(Comparison::New | Comparison::Current) => {}
        Ok(Comparison::Unknown) => tracing::warn!(
            file = %path,
            "the state file (SIGNET_STATE_FILE) does not record this database, so the database is \
             used unchecked. If it is a restored backup, stop, and run `signet restored`"
        ),
        Err(error) => tracing::warn!(
            file = %path,
            %error,
            "the state file (SIGNET_STATE_FILE) cannot be read: the database is used unchecked. If \
             the database is a restored backup, stop, and run `signet restored`"
        ),
    }
    if config.database.database_url.sqlite_file().is_some_and(|it| file.is_beside(&it)) {
        tracing::warn!(
            file = %path,
            "the state file is in the folder of the database: if both are restored, the restore is \
             not detected. Set SIGNET_STATE_FILE to another folder"
        );
    }
    Ok(())
}

impl StateKeeper {
    /// A keeper for a database whose schema and keys were checked.
    pub(super) fn of(config: &Config, lineage: &Lineage, clock: &Clock) -> Self {
        Self {
            file: state_file(config, clock),
            name: lineage.name().unwrap_or_default(),
            restore: lineage.restore.map(|restore| restore.id),
            initial_commits: lineage.commits,
            is_failing: AtomicBool::new(false),
        }
    }

    /// The id of the last restore. The keys of refresh tokens, of reset tokens and of the links and
    /// codes that confirm an address are derived from it.
    pub(super) fn restore(&self) -> Option<Uuid> {
        self.restore
    }

    /// Updates the state file. A failure is logged unless the previous call failed, too.
    #[expect(clippy::disallowed_methods, reason = "a small file, one write at a time")]
    pub(super) async fn save(&self, db: &Db) {
        let (file, name, commits) =
            (self.file.clone(), self.name.clone(), self.initial_commits.max(db.commits()));
        let recorded =
            tokio::task::spawn_blocking(move || record_in_use(&file, &name, commits)).await;
        let result = recorded.unwrap_or_else(|error| Err(io::Error::other(error)));
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (result, was_failing) {
            tracing::warn!(
                file = %self.file.path().display(),
                %error,
                "the state file (SIGNET_STATE_FILE) cannot be written: a start will not detect \
                 that an older backup of the database was restored"
            );
        }
    }

    /// Updates the state file periodically, and returns when `signet restored` was run. The
    /// instance must then stop: it derived its keys before the restore, so everything that it
    /// grants would be void.
    pub(super) async fn run_until_restore(&self, db: &Db) {
        loop {
            tokio::time::sleep(UPDATE_INTERVAL).await;
            match db.last_restore().await {
                Ok(restore) if restore.map(|restore| restore.id) != self.restore => {
                    tracing::error!(
                        "`signet restored` was run: this instance stops; start it again"
                    );
                    return;
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the last restore could not be read"),
            }
            self.save(db).await;
        }
    }
}

/// Writes the state file. Logs an error if two databases use the state file. The log line is
/// written here and not in the caller, because a stop may cancel the caller, but not this function.
fn record_in_use(file: &StateFile, name: &str, commits: i64) -> io::Result<()> {
    if file.record_in_use(name, commits)? {
        tracing::error!(
            file = %file.path().display(),
            "`signet restored` was run on a copy of this database, with the state file of this \
             database: give the copy another SIGNET_STATE_FILE"
        );
    }
    Ok(())
}
