//! The grant that tokens are made from.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::entity::account::EmailClaims;
use crate::entity::session;
use crate::scope::{Audiences, Scope};
use crate::timestamp::Timestamp;

/// The entry of a session in a status list, where verifiers see that it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusEntry {
    /// The number of the list.
    pub list: i32,
    /// The index in it.
    pub index: i32,
}

impl StatusEntry {
    /// The entry of a session; `None` if it started before there were status lists.
    #[must_use]
    pub fn of(session: &session::Model) -> Option<Self> {
        let (list, index) = session.status_list.zip(session.status_index)?;
        Some(Self { list, index })
    }
}

/// The grant of a login or refresh: all that tokens are made from.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The account.
    pub account_id: Uuid,
    /// The email address of the account.
    pub email: EmailClaims,
    /// The session.
    pub session_id: Uuid,
    /// The client that gets the tokens.
    pub client_id: String,
    /// The scope of the access token: all that was granted, or less.
    pub scope: Scope,
    /// The audiences of the access token; that of the JSON API if `None`.
    pub audience: Option<Audiences>,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// The generation of the newest refresh token.
    pub generation: i64,
    /// When that refresh token expires.
    pub refresh_expires_at: Timestamp,
    /// The session's status list entry; `None` if it started before there were status lists.
    pub status: Option<StatusEntry>,
}

impl Granted {
    /// The grant of a `session` whose account has `email`.
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

/// A grant to a client, and what its tokens contain.
#[derive(Debug, Clone)]
pub struct ClientGrant {
    /// The grant, with scope and audience of the access token.
    pub granted: Granted,
    /// The nonce for the ID token.
    pub nonce: Option<String>,
    /// The claims about the user for the ID token.
    pub person_claims: Map<String, Value>,
    /// Whether a refresh token is granted.
    pub has_refresh: bool,
}
