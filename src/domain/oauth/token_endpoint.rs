//! The token endpoint, with a function for each grant type.
//!
//! All grant types have the same steps: check that the client may use the grant type, validate the
//! presented code or token, determine scope and audience, run one transaction, and sign.

use sea_orm::{DbErr, EntityTrait};
use serde_json::{Map, Value};

use crate::domain::audit::Origin;
use crate::domain::granted::{ClientGrant, Granted};
use crate::domain::oauth::client::entitlement;
use crate::domain::oauth::client::metadata::GRANT_TYPES;
use crate::domain::oauth::code_exchange;
use crate::domain::oauth::grant_error::GrantError;
use crate::domain::oauth::mint::{Issued, Mint};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::{audience, claims};
use crate::domain::refresh::{Holder, Presented};
use crate::entity::client::Model as Client;
use crate::entity::{account, session};
use crate::scope::{Audiences, IDENTITY, Scope};
use crate::timestamp::Timestamp;

/// Handles a token request of an authenticated client.
///
/// # Errors
/// See [`GrantError`]. Then an authorization code may be used up. A refresh token stays valid or
/// can be retried, unless it was reused.
pub async fn exchange(
    mint: Mint<'_>,
    client: &Client,
    params: &Params,
    origin: &Origin,
    now: Timestamp,
) -> Result<Issued, GrantError> {
    // No code or token may be used up if the new tokens could not be signed.
    mint.issuer.check_fresh()?;
    let grant_type =
        params.get("grant_type").ok_or(GrantError::Invalid("grant_type is missing"))?;
    if !GRANT_TYPES.contains(&grant_type) {
        return Err(GrantError::Unsupported);
    }
    if !client.grants.has(grant_type) {
        return Err(GrantError::NotAllowed);
    }
    let grant = match grant_type {
        "authorization_code" => code_exchange::redeem(mint, client, params, origin, now).await?,
        "refresh_token" => refresh_token(mint, client, params, origin).await?,
        "client_credentials" => return client_credentials(mint, client, params, now),
        _ => return Err(GrantError::Unsupported),
    };
    mint.issue(client, grant)
}

/// Exchanges a refresh token (RFC 6749 §6). The rotation is the same as in the JSON API.
async fn refresh_token(
    mint: Mint<'_>,
    client: &Client,
    params: &Params,
    origin: &Origin,
) -> Result<ClientGrant, GrantError> {
    let token = params.get("refresh_token");
    let token = token.ok_or(GrantError::Invalid("refresh_token is missing"))?;
    let presented = mint.refresh_tokens.decode(token).ok_or(GrantError::Rejected)?;
    let (scope, audience, person_claims) = refreshed(mint, client, presented, params).await?;
    let holder = Holder { client_id: &client.id, is_server: client.is_confidential() };
    let granted = mint.rotation.rotate(presented, holder, origin).await?;
    let granted = Granted { scope, audience: Some(audience), ..granted };
    Ok(ClientGrant { granted, nonce: None, person_claims, has_refresh: true })
}

/// Determines the scope, the audience and the claims about the user of refreshed tokens: the
/// granted scope and audience, limited to the current registration of the client and to the
/// request. This runs before the rotation, so that a refused request does not use up the refresh
/// token.
async fn refreshed(
    mint: Mint<'_>,
    client: &Client,
    presented: Presented,
    params: &Params,
) -> Result<(Scope, Audiences, Map<String, Value>), GrantError> {
    let row = mint.find_session(presented.session_id).await?;
    let row = row.filter(|row| row.client_id == client.id).ok_or(GrantError::Rejected)?;
    let issuer = mint.issuer.iss();
    let limited = entitlement::scope(client, &row.scope);
    let granted = row.audience.clone().unwrap_or_else(|| [issuer].into_iter().collect());
    let audience = entitlement::audience(client, &granted, issuer);
    // In these cases, no refresh of this session can succeed. Clients react to `invalid_grant` with
    // a new authorization request.
    if !limited.has("offline_access") || audience.is_empty() {
        return Err(GrantError::Rejected);
    }
    let scope = match params.get("scope") {
        None => limited,
        Some(requested) => Scope::parse(requested)
            .filter(|requested| requested.is_within(&row.scope))
            .map(|requested| requested.limited_to(&limited))
            .filter(|scope| !scope.is_empty())
            .ok_or(GrantError::Scope)?,
    };
    let audience = audience::narrowed(params.all("resource"), &audience);
    let audience = audience.ok_or(GrantError::Target)?;
    let person_claims = person_claims(mint, client, &scope, &row).await?;
    Ok((scope, audience, person_claims))
}

/// The claims about the user for a session's next ID token. Most requests need none.
async fn person_claims(
    mint: Mint<'_>,
    client: &Client,
    scope: &Scope,
    session: &session::Model,
) -> Result<Map<String, Value>, DbErr> {
    let names = entitlement::claims(client, scope, session.claims.as_ref()).id_token;
    if names.is_empty() && !client.id_token_claims {
        return Ok(Map::new());
    }
    let found = account::Entity::find_by_id(session.account_id);
    let account = mint.db.read(|db| async move { found.one(&db).await }).await?;
    let person_claims = |account| claims::claims_of_person(&account, client, scope, &names);
    Ok(account.map(person_claims).unwrap_or_default())
}

/// Issues a token to the client itself (RFC 6749 §4.4): without a session, a refresh token or a
/// user.
fn client_credentials(
    mint: Mint<'_>,
    client: &Client,
    params: &Params,
    now: Timestamp,
) -> Result<Issued, GrantError> {
    if !client.is_confidential() {
        return Err(GrantError::NotAllowed);
    }
    let allowed = client.scope().without(&IDENTITY);
    let scope = match params.get("scope") {
        None => allowed,
        Some(requested) => Scope::parse(requested)
            .filter(|requested| requested.is_within(&allowed))
            .ok_or(GrantError::Scope)?,
    };
    let audience = audience::chosen(client, params.all("resource"), mint.issuer.iss());
    let audience = audience.ok_or(GrantError::Target)?;
    let life = client.access_token_life().min(mint.issuer.life());
    let access_token = mint.issuer.client_token(&client.id, &audience, &scope, life, now)?;
    Ok(Issued { access_token, life, refresh_token: None, id_token: None, scope })
}
