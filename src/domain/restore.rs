//! Recovery after an older backup of the database was restored. It invalidates everything that was
//! issued before, even if the backup does not contain it. Otherwise sessions and tokens that were
//! revoked after the backup would be valid again, because no record of their revocation exists.
//! Also checks a backup before it is restored ([`examine`]).

use sea_orm::{ColumnTrait, DbErr};

use crate::database::{self, BackupFile, BackupFileError, Counts, Db, Lineage, delete_all};
use crate::domain::administration::{self, OperatorError};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::keys::{self, KeyRingError, Sealer};
use crate::domain::status::{self, AllocationError};
use crate::domain::{id, invite};
use crate::entity::outbox::{self, Kind as OutboxKind};
use crate::entity::{authorization_code, pending_authorization};
use crate::timestamp::Timestamp;

/// Why the recovery failed or is incomplete. The recovery can safely be repeated.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Sessions could not be ended.
    #[error("the sessions could not be ended: {0}")]
    Sessions(#[from] OperatorError),
    /// The signing keys could not be replaced.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// The status lists could not be closed.
    #[error(transparent)]
    Lists(#[from] AllocationError),
    /// The database refused or failed.
    #[error("the database refused or failed: {0}")]
    Database(#[from] DbErr),
}

/// The result of [`declare`].
#[derive(Debug)]
pub struct Declared {
    /// The number of accounts that had sessions.
    pub accounts: usize,
    /// The `kid` of the new signing key.
    pub kid: String,
    /// The lineage of the database before the recovery.
    pub before: Lineage,
    /// The lineage of the database after the recovery.
    pub after: Lineage,
}

/// Declares that the database is a restored backup: invalidates everything that was issued from
/// this database, and from the databases of which it is a copy:
///
/// - all sessions, and with them browser cookies and authorization codes;
/// - refresh tokens and reset tokens, whose keys depend on the database ID created here;
/// - access tokens and ID tokens, whose keys leave the key set, and whose status lists are closed;
/// - client assertions that may have been used before;
/// - invites.
///
/// The database gets its new ID only after all sessions have ended. Until then, Signet refuses to
/// start. Instances that run meanwhile do no harm: they stop when they read the new ID, which also
/// makes everything that they granted invalid.
///
/// # Errors
/// See [`RestoreError`].
pub async fn declare(db: &Db, sealer: &Sealer, bits: u32) -> Result<Declared, RestoreError> {
    let before = Lineage::read(db).await?;
    let accounts = administration::switch_all_sessions_off(db).await?;
    delete_codes_requests_and_mails(db).await?;
    invite::delete_of_everyone(db).await?;
    let successor = keys::successor(sealer, bits, db.clock().now())?;
    let kid = successor.kid.clone();
    db.without_timeout()
        .write(successor, move |txn, now, successor| {
            Box::pin(async move {
                database::lift_timeouts(txn).await?;
                database::start_new_lineage(txn, id::new(now), now).await?;
                keys::replace_all(txn, successor, now).await?;
                status::close_all(txn, now).await?;
                let event = Event::new(Kind::DatabaseRestored);
                event.reason("by the operator").record(txn, &Origin::default(), now).await?;
                Ok::<_, RestoreError>(())
            })
        })
        .await?;
    let after = Lineage::read(db).await?;
    Ok(Declared { accounts, kid, before, after })
}

/// Records in the audit log that a backup was restored whose sessions stay live. Returns the
/// lineage of the database.
///
/// # Errors
/// If the database refuses.
pub async fn record_kept_sessions(db: &Db) -> Result<Lineage, RestoreError> {
    db.without_timeout()
        .write((), |txn, now, ()| {
            Box::pin(async move {
                let event = Event::new(Kind::DatabaseRestored);
                let event = event.reason("by the operator; sessions kept");
                event.record(txn, &Origin::default(), now).await
            })
        })
        .await?;
    Ok(Lineage::read(db).await?)
}

/// What a backup contains.
#[derive(Debug)]
pub struct Contents {
    /// The numbers of accounts, sessions and pending migrations.
    pub counts: Counts,
    /// The key ids of all signing keys, oldest first.
    pub kids: Vec<String>,
}

/// Why a backup cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] BackupFileError),
    /// The signing keys cannot be decrypted.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
}

/// Checks a backup: the consistency of the file, that this version can migrate its schema, and that
/// the master key can decrypt its signing keys. Changes nothing.
///
/// # Errors
/// See [`ExamineError`].
pub async fn examine(backup: BackupFile, sealer: &Sealer) -> Result<Contents, ExamineError> {
    let contents = contents(&backup, sealer).await;
    backup.close().await;
    contents
}

async fn contents(backup: &BackupFile, sealer: &Sealer) -> Result<Contents, ExamineError> {
    backup.check().await?;
    let counts = backup.counts().await?;
    let kids = keys::sealed_kids(backup.connection(), sealer).await?;
    Ok(Contents { counts, kids })
}

/// Deletes all authorization codes and pending authorizations, because they need a browser session,
/// and all browser sessions have ended. Also deletes all mails in the outbox, because they were
/// probably sent after the backup was made.
async fn delete_codes_requests_and_mails(db: &Db) -> Result<(), DbErr> {
    let earliest = Timestamp::default();
    let codes = authorization_code::Column::ExpiresAt.gte(earliest);
    delete_all::<authorization_code::Entity>(db, codes).await?;
    let requests = pending_authorization::Column::ExpiresAt.gte(earliest);
    delete_all::<pending_authorization::Entity>(db, requests).await?;
    let mails = outbox::Column::Kind.is_in([OutboxKind::Mail, OutboxKind::DeadMail]);
    delete_all::<outbox::Entity>(db, mails).await.map(drop)
}
