//! The values that the statements of shared refreshes bind: a row for each presented token.

use uuid::Uuid;

use crate::timestamp::Timestamp;

/// Rotations of several sessions in one statement.
pub struct SessionRotations {
    /// The time of the transaction.
    pub now: Timestamp,
    /// The new idle expiry of the sessions.
    pub idle_expires_at: Timestamp,
    /// The columns of a session that are returned.
    pub columns: Vec<&'static str>,
    /// The kind and the outcome of the audit events.
    pub event: (&'static str, &'static str),
    /// The rotations, one for each session.
    pub rows: Vec<SessionRotation>,
}

/// A presented token and the origin of its request.
pub struct SessionRotation {
    /// The session of the token.
    pub session_id: Uuid,
    /// The generation of the token.
    pub generation: i64,
    /// The client that presented the token.
    pub client_id: String,
    /// Whether the server of a confidential client sent the request. The client address and the
    /// user agent of the session are then not changed.
    pub is_server: bool,
    /// The client address of the request.
    pub address: Option<String>,
    /// The user agent of the request.
    pub user_agent: Option<String>,
    /// The forwarding chain of the request.
    pub forwarded: Option<String>,
    /// The ID of the request.
    pub request_id: Option<Uuid>,
    /// The ID of the audit event.
    pub event_id: Uuid,
}

impl SessionRotations {
    /// The returned columns, as SQL.
    pub(super) fn returned_columns(&self) -> String {
        let columns: Vec<_> =
            self.columns.iter().map(|name| format!("session.\"{name}\"")).collect();
        columns.join(", ")
    }
}
