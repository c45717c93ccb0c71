//! The grant from which tokens are created.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::entity::account::EmailClaims;
use crate::entity::session;
use crate::scope::{Audiences, Scope};
use crate::timestamp::Timestamp;

/// The entry of a session in a status list, from which verifiers learn that the session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusEntry {
    /// The id of the list.
    pub list: i32,
    /// The index in the list.
    pub index: i32,
}

impl StatusEntry {
    /// The entry of a session. `None` if the session started before status lists existed.
    #[must_use]
    pub fn of(session: &session::Model) -> Option<Self> {
        let (list, index) = session.status_list.zip(session.status_index)?;
        Some(Self { list, index })
    }
}

/// The grant of a login or refresh, from which tokens are created.
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
    /// The scope of the access token: the whole granted scope, or a part of it.
    pub scope: Scope,
    /// The audiences of the access token. `None` means the audience of the JSON API.
    pub audience: Option<Audiences>,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// The generation of the newest refresh token.
    pub generation: i64,
    /// When the newest refresh token expires.
    pub refresh_expires_at: Timestamp,
    /// The session's status list entry. `None` if the session started before status lists existed.
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

/// A grant to a client, and the contents of its ID token.
#[derive(Debug, Clone)]
pub struct ClientGrant {
    /// The grant, which has the scope and the audience of the access token.
    pub granted: Granted,
    /// The nonce for the ID token.
    pub nonce: Option<String>,
    /// The claims about the user for the ID token.
    pub person_claims: Map<String, Value>,
    /// Whether a refresh token is granted.
    pub has_refresh: bool,
}
