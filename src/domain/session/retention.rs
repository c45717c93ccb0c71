//! How long ended sessions are stored.
//!
//! A session's row has an IP address and a browser name. Nothing depends on an ended one: marks in
//! the status lists have separate rows, and a refresh token, code or access token of a missing
//! session is refused like one of an ended session.

use std::time::Duration;

use crate::database::{Db, PurgeError, Purged, delete_expired};
use crate::entity::session::{Column, Entity};

/// Deletes sessions that ended longer than `retention` ago.
///
/// # Errors
/// If the database refuses.
pub async fn purge_ended(db: &Db, retention: Duration) -> Result<Purged, PurgeError> {
    delete_expired::<Entity>(db, Column::EndedAt, db.retention_now().minus(retention)).await
}

/// Deletes sessions whose absolute lifetime ended longer than `retention` ago. Sessions that only
/// reached their idle timeout stay: a login on the hosted pages is looked up as long as client
/// sessions opened through it live.
///
/// # Errors
/// If the database refuses.
pub async fn purge_expired(db: &Db, retention: Duration) -> Result<Purged, PurgeError> {
    delete_expired::<Entity>(db, Column::AbsoluteExpiresAt, db.retention_now().minus(retention))
        .await
}
