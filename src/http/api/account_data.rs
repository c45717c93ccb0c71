//! The format of the data of an account, as its owner downloads it.

use poem_openapi::Object;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::account::{EmailClaims, Row};
use crate::domain::account_data::{EndReason, EventRow, SessionRow};
use crate::http::api::consents::Consent;
use crate::http::api::me::Account;
use crate::timestamp::Timestamp;

/// The data of an account.
#[derive(Object, Serialize)]
pub(super) struct AccountData {
    /// The URL of the service.
    issuer: String,
    /// When this data was read, in UTC (RFC 3339).
    created_at: String,
    // Has no doc comment, because poem-openapi would write `allOf` for one.
    account: Account,
    /// The email address as the user typed it; absent if that is `account.email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_as_typed: Option<String>,
    /// When the user proved control of the email address, in UTC (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified_at: Option<String>,
    /// The time of the last login, in UTC (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    last_login_at: Option<String>,
    /// The consents given to clients, newest first; at most 1000.
    consents: Vec<Consent>,
    /// All stored sessions, oldest first; sessions that have ended are deleted after some weeks.
    sessions: Vec<StoredSession>,
    /// The audit events of the account, oldest first.
    events: Vec<AccountEvent>,
}

impl AccountData {
    /// The data without sessions and events.
    pub(super) fn without_lists(
        issuer: String,
        account: &Row,
        consents: Vec<Consent>,
        now: Timestamp,
    ) -> Self {
        let EmailClaims { email, email_verified } = account.email_claims();
        let verified_at = account.email_verified_at.filter(|_| email_verified);
        Self {
            issuer,
            created_at: now.to_rfc3339(),
            account: Account::of(account),
            email_as_typed: (account.email != email).then(|| account.email.clone()),
            email_verified_at: verified_at.map(Timestamp::to_rfc3339),
            last_login_at: account.last_login_at.map(Timestamp::to_rfc3339),
            consents,
            sessions: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// A session of the account, live or ended.
#[derive(Object, Serialize)]
pub(super) struct StoredSession {
    /// The session id; also the `sid` claim of its tokens.
    id: Uuid,
    /// Whether it was live when this data was read.
    live: bool,
    /// The client that holds its tokens; `signet` for the JSON API and the hosted pages.
    client_id: String,
    /// The registered name of the client; absent for `signet` and for deleted clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
    /// The scopes of its tokens, space-separated.
    scope: String,
    /// The audiences of its tokens; absent for the audience of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<Vec<String>>,
    /// When the password was checked, in UTC (RFC 3339).
    authenticated_at: String,
    /// When it was last used, in UTC (RFC 3339).
    last_used_at: String,
    /// When it expires, or would have expired, in UTC (RFC 3339).
    expires_at: String,
    /// When it was ended before its expiry, in UTC (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Why it was ended before its expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<String>,
    /// The client address of the last use, or of the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The `User-Agent` of the same request as `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl StoredSession {
    /// A session of `account` at `now`.
    pub(super) fn of(
        session: SessionRow,
        account: &Row,
        client_name: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: session.id,
            live: session.is_live(account, now),
            client_name,
            scope: session.scope.to_string(),
            audience: session.audience.as_ref().map(|it| it.iter().map(str::to_owned).collect()),
            authenticated_at: session.auth_time.to_rfc3339(),
            last_used_at: session.last_used_at().to_rfc3339(),
            expires_at: session.idle_expires_at.min(session.absolute_expires_at).to_rfc3339(),
            ended_at: session.ended_at.map(Timestamp::to_rfc3339),
            end_reason: session.end_reason.map(EndReason::text),
            client_id: session.client_id,
            address: session.address,
            user_agent: session.user_agent,
        }
    }
}

/// An audit event of the account.
#[derive(Object, Serialize)]
pub(super) struct AccountEvent {
    /// The event id.
    id: Uuid,
    /// When it happened, in UTC (RFC 3339).
    at: String,
    /// What happened.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: String,
    /// `success` or `failure`.
    outcome: String,
    /// The reason, a word or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The session in which it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Uuid>,
    /// The client involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The client address of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The `User-Agent` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
}

impl AccountEvent {
    /// Leaves out the digest of the address that was tried, and the addresses of proxies.
    pub(super) fn of(event: EventRow) -> Self {
        Self {
            id: event.id,
            at: event.at.to_rfc3339(),
            kind: event.kind,
            outcome: event.outcome,
            reason: event.reason,
            session_id: event.session_id,
            client_id: event.client_id,
            address: event.address,
            user_agent: event.user_agent,
            request_id: event.request_id,
        }
    }
}
