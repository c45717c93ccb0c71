//! What a client is told of a person (OpenID Connect Core 1.0 §5.3, §5.4, §5.5): by scope, by name, and
//! nothing that is not known.

use sea_orm::DbErr;
use serde_json::{Map, Value};

use crate::database::Db;
use crate::domain::oauth::client;
use crate::domain::oauth::client::entitlement;
use crate::domain::profile;
use crate::domain::scope::Scope;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::entity::{account, session};

/// What a token opens.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// By scope.
    pub scope: Scope,
    /// By name, besides that.
    pub names: Vec<String>,
}

/// What of a token's scope, and of what its session was granted by name, the client may have now. The
/// answer leaves Signet at this moment, so what the token was signed with does not decide alone.
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

/// The claims of an account that are opened.
#[must_use]
pub fn claims(account: &account::Model, opened: &Opened) -> Map<String, Value> {
    let mut claims = profile::claims(account, &opened.scope.to_string());
    claims.extend(profile::named(account, &opened.names));
    claims.insert("sub".to_owned(), account.id.to_string().into());
    claims
}
