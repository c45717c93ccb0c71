//! Token introspection (RFC 7662). An unexpired token is active as long as its session is live, or
//! if it has no session.

use sea_orm::DbErr;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::oauth::client::entitlement;
use crate::domain::oauth::mint::Mint;
use crate::domain::session::{self, FIRST_PARTY_CLIENT};
use crate::entity::client::Model as Client;
use crate::scope::{Audiences, Scope};
use crate::timestamp::Timestamp;

/// Claims of an access token that introspection returns (RFC 7662 section 2.2, RFC 9068 section
/// 2.2, and the token's status). An allow list, so that new claims are not exposed by accident.
const RETURNED: [&str; 12] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "jti",
    "client_id",
    "sid",
    "auth_time",
    "scope",
    "user_id",
    "status",
];

/// Introspects a token for the client to which it was issued, or for a client that may introspect
/// tokens of the same audience. Returns `None` if the token is not active, or if the caller may not
/// introspect it: the response does not distinguish these cases.
///
/// # Errors
/// If the database refuses.
pub async fn introspect(
    mint: Mint<'_>,
    caller: &Client,
    token: &str,
    now: Timestamp,
) -> Result<Option<Value>, DbErr> {
    if let Some(presented) = mint.refresh_tokens.decode(token) {
        let session = mint.find_session(presented.session_id).await?;
        let session = session.filter(|session| {
            session.client_id == caller.id && session.generation == presented.generation
        });
        let Some(session) = session else { return Ok(None) };
        let scope = entitlement::scope(caller, &session.scope);
        let account =
            session::account_of_live(mint.db, session.id, session.account_id, now).await?;
        if account.is_none() || !scope.has("offline_access") {
            return Ok(None);
        }
        let expires_at = session.idle_expires_at.min(session.absolute_expires_at);
        return Ok(Some(json!({
            "active": true,
            "iss": mint.issuer.iss(),
            "sub": session.account_id,
            "client_id": session.client_id,
            "scope": scope,
            "sid": session.id,
            "exp": expires_at.as_seconds(),
        })));
    }
    let read = mint.issuer.read_access_token(token, now);
    let Some((_, Value::Object(mut claims))) = read else { return Ok(None) };
    // Introspection is exact: unlike resource servers, it has no leeway for clock skew.
    let is_current =
        claims.get("exp").and_then(Value::as_u64).is_some_and(|exp| now.as_seconds() < exp);
    let is_active = is_current
        && limit_to_registration(mint, caller, &mut claims).await?
        && may_introspect(caller, &claims)
        && is_session_live(mint, &claims, now).await?;
    if !is_active {
        return Ok(None);
    }
    claims.retain(|name, _| RETURNED.contains(&name.as_str()));
    claims.insert("active".to_owned(), true.into());
    claims.insert("token_type".to_owned(), "Bearer".into());
    Ok(Some(Value::Object(claims)))
}

/// Limits a token's scope and audience to the current registration of its client. Returns false if
/// nothing is left of the audience or of a scope that was not empty, or if the client was deleted.
async fn limit_to_registration(
    mint: Mint<'_>,
    caller: &Client,
    claims: &mut Map<String, Value>,
) -> Result<bool, DbErr> {
    let client_id = claims.get("client_id").and_then(Value::as_str).unwrap_or_default();
    if client_id == FIRST_PARTY_CLIENT {
        return Ok(true);
    }
    let found;
    let client = if client_id == caller.id {
        caller
    } else {
        found = mint.clients.find(client_id).await?;
        let Some(found) = &found else { return Ok(false) };
        found
    };
    let scope = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
    let scope = Scope::parse(scope).unwrap_or_default();
    let limited = entitlement::scope(client, &scope);
    let audience = entitlement::audience(client, &audience_of(claims), mint.issuer.iss());
    let is_anything_left = !audience.is_empty() && (scope.is_empty() || !limited.is_empty());
    if !scope.is_empty() {
        claims.insert("scope".to_owned(), json!(limited));
    }
    claims.insert("aud".to_owned(), json!(audience.claim()));
    Ok(is_anything_left)
}

fn audience_of(claims: &Map<String, Value>) -> Audiences {
    match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        single => single.and_then(Value::as_str).into_iter().collect(),
    }
}

fn may_introspect(caller: &Client, claims: &Map<String, Value>) -> bool {
    let is_own_token = claims.get("client_id").and_then(Value::as_str) == Some(&caller.id);
    is_own_token || audience_of(claims).iter().any(|audience| caller.introspects.has(audience))
}

/// Whether the token's session is live. True for tokens without a session.
async fn is_session_live(
    mint: Mint<'_>,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let id = |name: &str| claims.get(name)?.as_str()?.parse::<Uuid>().ok();
    match (id("sid"), id("user_id")) {
        (Some(session_id), Some(account_id)) => {
            Ok(session::account_of_live(mint.db, session_id, account_id, now).await?.is_some())
        }
        (None, None) => Ok(true),
        _ => Ok(false),
    }
}
