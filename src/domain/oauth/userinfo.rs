//! Claims at the userinfo endpoint (OpenID Connect Core 1.0 §5.3, §5.4, §5.5): the claims of the
//! scope, and the claims requested by name. Claims without a known value are left out.

use sea_orm::DbErr;
use serde_json::{Map, Value};

use crate::domain::oauth::client::{ClientCache, entitlement};
use crate::domain::profile;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::entity::{account, session};
use crate::scope::Scope;

/// The claims about the user of a session, for a token of this scope: the claims of the scope, and
/// the claims that the client of the session requested by name. They are limited to the current
/// registration of the client, which may have changed since the token was issued.
/// `None` without the scope `openid`.
///
/// # Errors
/// If the database refuses.
pub async fn claims(
    clients: &ClientCache,
    session: &session::Model,
    account: &account::Model,
    scope: &str,
) -> Result<Option<Map<String, Value>>, DbErr> {
    let mut scope = Scope::parse(scope).unwrap_or_default();
    let mut names = Vec::new();
    if session.client_id != FIRST_PARTY_CLIENT {
        let Some(client) = clients.find(&session.client_id).await? else { return Ok(None) };
        scope = entitlement::scope(&client, &scope);
        names = entitlement::claims(&client, &scope, session.claims.as_ref()).userinfo;
    }
    if !scope.has("openid") {
        return Ok(None);
    }
    let mut claims = profile::claims(account, scope.as_str());
    claims.extend(profile::named(account, &names));
    claims.insert("sub".to_owned(), account.id.to_string().into());
    Ok(Some(claims))
}
