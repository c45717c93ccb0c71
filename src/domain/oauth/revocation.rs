//! Token revocation (RFC 7009): the session of the token ends.

use sea_orm::DbErr;
use serde_json::Value;

use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::introspection::find_session;
use crate::domain::oauth::token_endpoint::Mint;
use crate::domain::session;
use crate::entity::client::Model as Client;
use crate::entity::session::EndReason;

/// The result of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The token is invalid now, or was before, or belongs to another client.
    Done,
    /// The token has no session to end: it is from the client credentials grant and short-lived.
    Unsupported,
}

/// Ends the session of a token, if it belongs to the caller.
///
/// # Errors
/// If the database refuses: the token may still be valid then (RF-14).
pub async fn revoke(
    mint: Mint<'_>,
    caller: &Client,
    token: &str,
    origin: &Origin,
) -> Result<Revocation, DbErr> {
    let session_id = match mint.refresh_tokens.decode(token) {
        Some(presented) => Some(presented.session_id),
        None => match mint.issuer.read_own_access_token(token) {
            None => return Ok(Revocation::Done),
            Some(claims) => {
                let sid = claims.get("sid").and_then(Value::as_str);
                let sid = sid.and_then(|sid| sid.parse().ok());
                if sid.is_none() {
                    return Ok(Revocation::Unsupported);
                }
                sid
            }
        },
    };
    let Some(session_id) = session_id else { return Ok(Revocation::Done) };
    let session = find_session(mint, session_id).await?;
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
