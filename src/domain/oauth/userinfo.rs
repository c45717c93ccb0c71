//! Claims at the userinfo endpoint (OpenID Connect Core 1.0 §5.3, §5.4, §5.5): by scope, by name,
//! and only those that are known.

use sea_orm::DbErr;
use serde_json::{Map, Value};

use crate::database::Db;
use crate::domain::oauth::client;
use crate::domain::oauth::client::entitlement;
use crate::domain::profile;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::entity::{account, session};
use crate::scope::Scope;

/// The claims that a token gives access to.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// By scope.
    pub scope: Scope,
    /// By name, in addition.
    pub names: Vec<String>,
}

/// The token's scope and its session's single claims, limited to the client's present registration.
/// The response is sent now, so the token alone does not decide.
///
/// # Errors
/// If the database refuses.
pub async fn left(db: &Db, session: &session::Model, scope: &str) -> Result<Opened, DbErr> {
    let scope = Scope::parse(scope).unwrap_or_default();
    if session.client_id == FIRST_PARTY_CLIENT {
        return Ok(Opened { scope, names: Vec::new() });
    }
    let Some(client) = client::find(db, &session.client_id).await? else {
        return Ok(Opened::default());
    };
    let scope = entitlement::scope(&client, &scope);
    let asked = session.claims.as_ref().map(|asked| entitlement::claims(&client, &scope, asked));
    Ok(Opened { names: asked.unwrap_or_default().userinfo, scope })
}

/// The claims of an account that `opened` gives access to.
#[must_use]
pub fn claims(account: &account::Model, opened: &Opened) -> Map<String, Value> {
    let mut claims = profile::claims(account, opened.scope.as_str());
    claims.extend(profile::named(account, &opened.names));
    claims.insert("sub".to_owned(), account.id.to_string().into());
    claims
}
