//! How long ended sessions are stored.
//!
//! The row of a session contains an IP address and the name of a browser. Once the session has
//! ended, its row is not needed any more: marks for status lists have separate rows, and the tokens
//! and codes of a missing session are refused like those of an ended session.

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

/// Deletes sessions whose absolute lifetime ended longer than `retention` ago. Sessions that have
/// only reached their idle expiry are not deleted, because a browser session is looked up as long
/// as client sessions that were opened through it are live.
///
/// # Errors
/// If the database refuses.
pub async fn purge_expired(db: &Db, retention: Duration) -> Result<Purged, PurgeError> {
    delete_expired::<Entity>(db, Column::AbsoluteExpiresAt, db.retention_now().minus(retention))
        .await
}
