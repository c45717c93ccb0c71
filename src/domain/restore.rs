//! Recovery after an older backup of the database was restored: voids everything issued before,
//! whether the backup contains it or not. Otherwise what was revoked since the backup would be
//! valid again, and there is no record of it.

use sea_orm::{ColumnTrait, DbErr};

use crate::database::{self, Db, Lineage, delete_all};
use crate::domain::administration::{self, OperatorError};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::id;
use crate::domain::keys::{self, KeyRingError, Sealer};
use crate::domain::status::{self, AllocationError};
use crate::entity::{authorization_code, pending_authorization};
use crate::timestamp::Timestamp;

/// Why it failed or is incomplete. A retry is safe.
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

/// The result.
#[derive(Debug)]
pub struct Declared {
    /// The number of accounts that had sessions.
    pub accounts: usize,
    /// The new signing key.
    pub kid: String,
    /// The lineage of the database before.
    pub before: Lineage,
    /// The lineage of the database after.
    pub after: Lineage,
}

/// Voids everything issued from this database and from those that it was copied from:
///
/// - all sessions, and with them browser cookies and authorization codes;
/// - refresh tokens and reset tokens, whose keys depend on the database ID created here;
/// - access tokens and ID tokens, whose keys leave the key set, and whose status lists are closed;
/// - client assertions that may have been used before.
///
/// The database gets its new ID only after all sessions have ended; Signet refuses to start until
/// then. Instances that run meanwhile do no harm: they stop when they see the new ID, and what they
/// granted is void then.
///
/// # Errors
/// See [`RestoreError`].
pub async fn declare(db: &Db, sealer: &Sealer, bits: u32) -> Result<Declared, RestoreError> {
    let before = Lineage::read(db).await?;
    let accounts = administration::switch_all_sessions_off(db).await?;
    delete_waiting(db).await?;
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

/// Deletes authorization codes and pending authorizations. They need a browser session, and those
/// have ended.
async fn delete_waiting(db: &Db) -> Result<(), DbErr> {
    let ever = Timestamp::default();
    let codes = authorization_code::Column::ExpiresAt.gte(ever);
    delete_all::<authorization_code::Entity>(db, codes).await?;
    let requests = pending_authorization::Column::ExpiresAt.gte(ever);
    delete_all::<pending_authorization::Entity>(db, requests).await.map(drop)
}
