//! Token revocation (RFC 7009): the session of the token ends.

use sea_orm::DbErr;
use serde_json::Value;

use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::mint::Mint;
use crate::domain::session;
use crate::entity::client::Model as Client;
use crate::entity::session::EndReason;

/// The result of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The token is invalid now, was already invalid, or belongs to another client.
    Done,
    /// The token has no session to end. It is a short-lived token of the client credentials grant.
    Unsupported,
}

/// Ends the session of a token, if it is a session of the client that calls the endpoint.
///
/// # Errors
/// If the database refuses; then the token may still be valid (RF-14).
pub async fn revoke(
    mint: Mint<'_>,
    caller: &Client,
    token: &str,
    origin: &Origin,
) -> Result<Revocation, DbErr> {
    let session_id = if let Some(presented) = mint.refresh_tokens.decode(token) {
        presented.session_id
    } else {
        let Some(claims) = mint.issuer.read_own_access_token(token) else {
            return Ok(Revocation::Done);
        };
        let sid = claims.get("sid").and_then(Value::as_str);
        let Some(sid) = sid.and_then(|sid| sid.parse().ok()) else {
            return Ok(Revocation::Unsupported);
        };
        sid
    };
    let session = mint.find_session(session_id).await?;
    let Some(session) = session.filter(|session| session.client_id == caller.id) else {
        return Ok(Revocation::Done);
    };
    let origin = origin.clone();
    mint.db
        .urgent()
        .write((session, origin), move |txn, now, (session, origin)| {
            Box::pin(async move {
                if session::end(txn, session.id, EndReason::Revoked, now).await? {
                    Event::new(Kind::SessionRevoked)
                        .session(session.account_id, session.id, &session.client_id)
                        .record(txn, origin, now)
                        .await?;
                }
                Ok::<_, DbErr>(())
            })
        })
        .await?;
    Ok(Revocation::Done)
}
