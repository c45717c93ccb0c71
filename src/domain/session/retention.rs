//! How long a session that is over is remembered.
//!
//! Its row has an IP address and the name of a browser. Nothing depends on it any more: marks in the
//! status lists have rows of their own, and a refresh token, a code or an access token of a session
//! that is not there is refused like one of a session that has ended.

use std::time::Duration;

use crate::database::{Db, PurgeError, Purged, delete_expired};
use crate::entity::session::{Column, Entity};

/// Deletes sessions that were ended longer than `keep` ago.
///
/// # Errors
/// If the database refuses.
pub async fn purge_ended(db: &Db, keep: Duration) -> Result<Purged, PurgeError> {
    delete_expired::<Entity>(db, Column::EndedAt, db.retention_now().minus(keep)).await
}

/// Deletes sessions whose greatest life was over longer than `keep` ago. Not those that were merely
/// not used for too long: a login of a browser is looked up as long as what was opened in it lives.
///
/// # Errors
/// If the database refuses.
pub async fn purge_expired(db: &Db, keep: Duration) -> Result<Purged, PurgeError> {
    delete_expired::<Entity>(db, Column::AbsoluteExpiresAt, db.retention_now().minus(keep)).await
}
