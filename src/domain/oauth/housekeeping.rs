//! Deletion of expired rows.

use std::time::Duration;

use sea_orm::DbErr;

use crate::database::{Db, Purged, delete_expired};
use crate::entity::{authorization_code, pending_authorization, used_assertion};

/// How long a used code is stored, to detect its reuse.
const USED_CODE_RETENTION: Duration = Duration::from_hours(24);

/// Deletes codes that no longer have any effect.
///
/// # Errors
/// If the database refuses.
pub async fn purge_codes(db: &Db) -> Result<Purged, DbErr> {
    use authorization_code::{Column, Entity};
    delete_expired::<Entity>(db, Column::ExpiresAt, db.retention_now().minus(USED_CODE_RETENTION))
        .await
}

/// Deletes authorization requests that were not answered in time.
///
/// # Errors
/// If the database refuses.
pub async fn purge_requests(db: &Db) -> Result<Purged, DbErr> {
    use pending_authorization::{Column, Entity};
    delete_expired::<Entity>(db, Column::ExpiresAt, db.retention_now()).await
}

/// Deletes the digests of expired client assertions, and of forms whose repetition is an error
/// again.
///
/// # Errors
/// If the database refuses.
pub async fn purge_assertions(db: &Db) -> Result<Purged, DbErr> {
    use used_assertion::{Column, Entity};
    delete_expired::<Entity>(db, Column::ExpiresAt, db.retention_now()).await
}
