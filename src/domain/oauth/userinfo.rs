//! What a client is told of a person (OpenID Connect Core 1.0 §5.3, §5.4): by scope, and nothing
//! that is not known.

use sea_orm::DbErr;
use serde_json::{Map, Value};

use crate::database::Db;
use crate::domain::oauth::scope::Scope;
use crate::domain::oauth::{client, registered};
use crate::domain::profile;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::entity::account;

/// What of a token's scope its client may have now. The answer leaves Signet at this moment, so what
/// the token was signed with does not decide alone.
///
/// # Errors
/// If the database refuses.
pub async fn scope_left(db: &Db, client_id: &str, scope: &str) -> Result<Scope, DbErr> {
    let scope = Scope::parse(scope).unwrap_or_default();
    if client_id == FIRST_PARTY_CLIENT {
        return Ok(scope);
    }
    let client = client::find(db, client_id).await?;
    Ok(client.map(|client| registered::scope(&client, &scope)).unwrap_or_default())
}

/// The claims of an account that a scope opens.
#[must_use]
pub fn claims(account: &account::Model, scope: &str) -> Map<String, Value> {
    let mut claims = profile::claims(account, scope);
    claims.insert("sub".to_owned(), account.id.to_string().into());
    claims
}
