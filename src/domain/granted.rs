//! What tokens are made from.

use uuid::Uuid;

use crate::entity::account::EmailClaims;
use crate::entity::session;
use crate::timestamp::Timestamp;

/// The entry of a session in a status list, where verifiers see that it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusEntry {
    /// The list.
    pub list: i32,
    /// The place in it.
    pub index: i32,
}

impl StatusEntry {
    /// That of a session; none if it began before there were status lists.
    #[must_use]
    pub fn of(session: &session::Model) -> Option<Self> {
        let (list, index) = session.status_list.zip(session.status_index)?;
        Some(Self { list, index })
    }
}

/// What a login or a refresh grants: all that tokens are made from.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Who it is.
    pub account_id: Uuid,
    /// The address of the account.
    pub email: EmailClaims,
    /// The login.
    pub session_id: Uuid,
    /// Who holds the tokens.
    pub client_id: String,
    /// What they are for, space-separated.
    pub scope: String,
    /// Whom the tokens are for, space-separated; the service's own audience if none.
    pub audience: Option<String>,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// The number of the newest refresh token.
    pub generation: i64,
    /// End of life of that refresh token.
    pub refresh_expires_at: Timestamp,
    /// Where verifiers see that it has ended; none if it began before there were status lists.
    pub status: Option<StatusEntry>,
}

impl Granted {
    /// What `session` of the account with `email` grants.
    #[must_use]
    pub fn of(session: session::Model, email: EmailClaims) -> Self {
        let status = StatusEntry::of(&session);
        Self {
            account_id: session.account_id,
            email,
            session_id: session.id,
            client_id: session.client_id,
            scope: session.scope,
            audience: session.audience,
            auth_time: session.auth_time,
            generation: session.generation,
            refresh_expires_at: session.idle_expires_at.min(session.absolute_expires_at),
            status,
        }
    }
}
