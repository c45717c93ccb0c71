//! What has become of a token (RFC 7662), and giving one back (RFC 7009).
//!
//! Tokens hang on their session: it is the session that is looked up, and that ends.

use sea_orm::{DbErr, EntityTrait};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::client;
use crate::domain::oauth::grant::Mint;
use crate::domain::session;
use crate::entity::client::Model as Client;
use crate::entity::session::{EndReason, Entity as Session, Model as SessionRow};
use crate::timestamp::Timestamp;

/// The type of access tokens.
const ACCESS_TOKEN: &str = "at+jwt";

/// What a token says, for a caller that may know: its own client, or one that introspects for its
/// audience. `None` for everything else, whatever the reason.
///
/// # Errors
/// If the database refuses.
pub async fn introspect(
    mint: Mint<'_>,
    caller: &Client,
    token: &str,
    now: Timestamp,
) -> Result<Option<Map<String, Value>>, DbErr> {
    if let Some(presented) = mint.refresh_tokens.decode(token) {
        let session = find_session(mint, presented.session_id).await?;
        let session = session.filter(|session| {
            session.client_id == caller.id
                && session.is_live(now)
                && session.generation == presented.generation
        });
        let Some(session) = session else { return Ok(None) };
        if !is_open(mint, session.id, session.account_id, now).await? {
            return Ok(None);
        }
        let expires_at = session.idle_expires_at.min(session.absolute_expires_at);
        return Ok(object(json!({
            "active": true,
            "iss": mint.issuer.iss(),
            "sub": session.account_id,
            "client_id": session.client_id,
            "scope": session.scope,
            "sid": session.id,
            "exp": expires_at.as_seconds(),
        })));
    }
    let Some((_, claims)) = mint.issuer.read_access_token(token, now) else { return Ok(None) };
    let Some(mut claims) = object(claims) else { return Ok(None) };
    // Without the leeway that services have: who asks wants to know.
    let is_current =
        claims.get("exp").and_then(Value::as_u64).is_some_and(|exp| now.as_seconds() < exp);
    if !is_current || !may_know(caller, &claims) || !is_alive(mint, &claims, now).await? {
        return Ok(None);
    }
    claims.remove("email");
    claims.insert("active".to_owned(), true.into());
    claims.insert("token_type".to_owned(), "Bearer".into());
    Ok(Some(claims))
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn may_know(caller: &Client, claims: &Map<String, Value>) -> bool {
    let is_its_own = claims.get("client_id").and_then(Value::as_str) == Some(&caller.id);
    let is_for_it = match claims.get("aud") {
        Some(Value::String(audience)) => caller.introspects.has(audience),
        Some(Value::Array(all)) => {
            all.iter().filter_map(Value::as_str).any(|audience| caller.introspects.has(audience))
        }
        _ => false,
    };
    is_its_own || is_for_it
}

/// Whether whom the token speaks of is still there: the login, or the client that speaks for itself.
async fn is_alive(
    mint: Mint<'_>,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let id = |name: &str| claims.get(name)?.as_str()?.parse::<Uuid>().ok();
    match (id("sid"), id("user_id"), claims.get("client_id").and_then(Value::as_str)) {
        (Some(session_id), Some(account_id), _) => is_open(mint, session_id, account_id, now).await,
        (None, None, Some(client_id)) => Ok(client::find(mint.db, client_id).await?.is_some()),
        _ => Ok(false),
    }
}

async fn is_open(
    mint: Mint<'_>,
    session_id: Uuid,
    account_id: Uuid,
    now: Timestamp,
) -> Result<bool, DbErr> {
    Ok(session::account_of_live(mint.db, session_id, account_id, now).await?.is_some())
}

async fn find_session(mint: Mint<'_>, id: Uuid) -> Result<Option<SessionRow>, DbErr> {
    let question = Session::find_by_id(id);
    mint.db.read(|db| async move { question.one(&db).await }).await
}

/// What became of a wish to give a token back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is good for nothing now, or was so before, or is not the caller's to give back.
    Done,
    /// It has no session that could end: a client's own token, which lives for its few minutes.
    Unsupported,
}

/// Ends the session of a token, if it is the caller's.
///
/// # Errors
/// If the database refuses: then the token may still be good (RF-14).
pub async fn revoke(
    mint: Mint<'_>,
    caller: &Client,
    token: &str,
    origin: &Origin,
    now: Timestamp,
) -> Result<Revocation, DbErr> {
    let session_id = match mint.refresh_tokens.decode(token) {
        Some(presented) => Some(presented.session_id),
        None => match mint.issuer.read_own(ACCESS_TOKEN, token) {
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
        .write(move |txn| {
            let (session, origin) = (session.clone(), origin.clone());
            Box::pin(async move {
                if session::end(txn, session.id, EndReason::Revoked, now).await? {
                    Event::new(Kind::SessionRevoked)
                        .account(session.account_id)
                        .session(session.id, &session.client_id)
                        .record(txn, &origin, now)
                        .await?;
                }
                Ok::<_, DbErr>(())
            })
        })
        .await?;
    Ok(Revocation::Done)
}
