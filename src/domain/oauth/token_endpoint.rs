//! The token endpoint: one function per grant type under one `match`.
//!
//! Each takes the same steps: check that the client may use the grant type, validate what it
//! presents, determine scope and audience, run one transaction, sign.

use std::time::Duration;

use openssl::error::ErrorStack;
use sea_orm::{DbErr, EntityTrait};
use serde_json::{Map, Value};

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::audit::Origin;
use crate::domain::granted::Granted;
use crate::domain::oauth::client::entitlement;
use crate::domain::oauth::code_exchange::{self, CodeError, Redemption};
use crate::domain::oauth::id_token::{self, IdTokenClaims};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::{audience, claims};
use crate::domain::refresh::{self, Holder, Presented, RefreshError, RefreshTokens};
use crate::domain::scope::Scope;
use crate::domain::status::{AllocationError, StatusEntries};
use crate::domain::token::{Issuer, SigningError, TokenTerms};
use crate::entity::client::Model as Client;
use crate::entity::{account, session};
use crate::timestamp::Timestamp;

/// The services that tokens are made with.
#[derive(Clone, Copy)]
pub struct Mint<'a> {
    /// The database.
    pub db: &'a Db,
    /// Allocates status list entries for new sessions.
    pub entries: &'a StatusEntries,
    /// Signs access tokens.
    pub issuer: &'a Issuer,
    /// Creates and parses refresh tokens.
    pub refresh_tokens: &'a RefreshTokens,
    /// Token lifetimes.
    pub settings: &'a TokenSettings,
}

/// A token response (RFC 6749 §5.1).
#[derive(Debug, Clone)]
pub struct Issued {
    /// For resource servers.
    pub access_token: String,
    /// The lifetime of the access token.
    pub life: Duration,
    /// For the next access token.
    pub refresh_token: Option<String>,
    /// For the client itself.
    pub id_token: Option<String>,
    /// The scope of the access token.
    pub scope: String,
}

/// Why a token request was refused (RFC 6749 §5.2).
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// A parameter is missing or invalid.
    #[error("{0}")]
    Invalid(&'static str),
    /// The grant type is not supported.
    #[error("the grant type is not supported")]
    Unsupported,
    /// The client is not registered for the grant type.
    #[error("the client may not use this grant")]
    NotAllowed,
    /// The code or refresh token is unknown, expired, already used, or of another client. One
    /// variant on purpose.
    #[error("the code or token is not valid")]
    Rejected,
    /// The scope is malformed, or exceeds what was granted or the client is registered for.
    #[error("the scope is not valid, or exceeds what was granted")]
    Scope,
    /// An audience that was not granted or that the client is not registered for (RFC 8707 §2).
    #[error("the client is not registered for the resource")]
    Target,
    /// No status list entry was available for the session.
    #[error("the session has no status")]
    Status(#[from] AllocationError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Signing(#[from] SigningError),
    /// OpenSSL failed.
    #[error("a token could not be computed")]
    OpenSsl(#[from] ErrorStack),
    /// The database refused or failed.
    #[error("the grant could not be stored")]
    Database(#[from] DbErr),
}

impl From<CodeError> for GrantError {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::Rejected => Self::Rejected,
            CodeError::Target => Self::Target,
            CodeError::Status(error) => Self::Status(error),
            CodeError::Database(error) => Self::Database(error),
        }
    }
}

impl From<RefreshError> for GrantError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Rejected => Self::Rejected,
            RefreshError::Database(error) => Self::Database(error),
        }
    }
}

/// Handles a token request of an authenticated client.
///
/// # Errors
/// See [`GrantError`]. An authorization code may be used up then; a refresh token stays valid or
/// can be retried, unless it was reused.
pub async fn exchange(
    mint: Mint<'_>,
    client: &Client,
    params: &Params,
    origin: &Origin,
    now: Timestamp,
) -> Result<Issued, GrantError> {
    // Nothing may be used up for tokens that could not be signed.
    mint.issuer.check_fresh()?;
    let grant_type =
        params.get("grant_type").ok_or(GrantError::Invalid("grant_type is missing"))?;
    let grants = ["authorization_code", "refresh_token", "client_credentials"];
    if !grants.contains(&grant_type) {
        return Err(GrantError::Unsupported);
    }
    if !client.grants.has(grant_type) {
        return Err(GrantError::NotAllowed);
    }
    match grant_type {
        "authorization_code" => authorization_code(mint, client, params, origin, now).await,
        "refresh_token" => refresh_token(mint, client, params, origin).await,
        _ => client_credentials(mint, client, params, now),
    }
}

/// RFC 6749 §4.1.3, RFC 7636 §4.5.
async fn authorization_code(
    mint: Mint<'_>,
    client: &Client,
    params: &Params,
    origin: &Origin,
    now: Timestamp,
) -> Result<Issued, GrantError> {
    let code = params.get("code").ok_or(GrantError::Invalid("code is missing"))?;
    let redemption = Redemption {
        code,
        client,
        redirect_uri: params.get("redirect_uri"),
        verifier: params.get("code_verifier"),
        resources: params.all("resource").map(str::to_owned).collect(),
        issuer: mint.issuer.iss(),
        origin,
    };
    let redeemed =
        code_exchange::redeem(mint.db, mint.entries, redemption, mint.settings, now).await?;
    let code_exchange::Redeemed { granted, audience, nonce, person_claims, has_refresh } = redeemed;
    let terms = TokenTerms { audience: &audience, scope: &granted.scope, life: life(client) };
    let extras = Extras { nonce: nonce.as_deref(), person_claims: &person_claims, has_refresh };
    issue(mint, &granted, terms, extras)
}

/// RFC 6749 §6. The rotation is the same as in the JSON API.
async fn refresh_token(
    mint: Mint<'_>,
    client: &Client,
    params: &Params,
    origin: &Origin,
) -> Result<Issued, GrantError> {
    let token = params.get("refresh_token");
    let token = token.ok_or(GrantError::Invalid("refresh_token is missing"))?;
    let presented = mint.refresh_tokens.decode(token).ok_or(GrantError::Rejected)?;
    let Left { scope, audience, person_claims } = left_of(mint, client, presented, params).await?;

    let Mint { db, settings, .. } = mint;
    let holder = Holder { client_id: &client.id, is_server: client.is_confidential() };
    let granted = refresh::rotate(db, presented, holder, settings, origin).await?;
    let terms = TokenTerms { audience: &audience, scope: &scope, life: life(client) };
    let extras = Extras { nonce: None, person_claims: &person_claims, has_refresh: true };
    issue(mint, &granted, terms, extras)
}

/// The result of a refresh, before the rotation.
struct Left {
    scope: String,
    audience: String,
    /// Claims about the user for the ID token.
    person_claims: Map<String, Value>,
}

/// Determines what a refresh gives: what was granted, limited to the client's present registration
/// and to what it requests. Checked before the rotation, so that a refused request does not use up
/// the refresh token.
async fn left_of(
    mint: Mint<'_>,
    client: &Client,
    presented: Presented,
    params: &Params,
) -> Result<Left, GrantError> {
    let found = session::Entity::find_by_id(presented.session_id);
    let row = mint.db.read(|db| async move { found.one(&db).await }).await?;
    let row = row.filter(|row| row.client_id == client.id).ok_or(GrantError::Rejected)?;
    let issuer = mint.issuer.iss();
    let granted = Scope::parse(&row.scope).unwrap_or_default();
    let left = entitlement::scope(client, &granted);
    let audience = row.audience.as_deref().unwrap_or(issuer);
    let audience = entitlement::audience(client, audience, issuer);
    // No request could succeed. Clients react to `invalid_grant` with a new authorization request.
    if !left.has("offline_access") || audience.is_empty() {
        return Err(GrantError::Rejected);
    }
    let scope = match params.get("scope") {
        None => left,
        Some(asked) => Scope::parse(asked)
            .filter(|asked| asked.is_within(&granted))
            .map(|asked| asked.within(&left))
            .filter(|scope| !scope.is_empty())
            .ok_or(GrantError::Scope)?,
    };
    let audience = audience::narrowed(params.all("resource"), &audience);
    let audience = audience.ok_or(GrantError::Target)?;
    let person_claims = person_claims(mint, client, &scope, &row).await?;
    Ok(Left { scope: scope.to_string(), audience, person_claims })
}

/// The claims about the user for a session's next ID token. Most requests need none.
async fn person_claims(
    mint: Mint<'_>,
    client: &Client,
    scope: &Scope,
    session: &session::Model,
) -> Result<Map<String, Value>, DbErr> {
    let asked = session.claims.as_ref().map(|asked| entitlement::claims(client, scope, asked));
    let asked = asked.filter(|asked| !asked.id_token.is_empty());
    if asked.is_none() && !client.id_token_claims {
        return Ok(Map::new());
    }
    let found = account::Entity::find_by_id(session.account_id);
    let account = mint.db.read(|db| async move { found.one(&db).await }).await?;
    let person_claims = |account| claims::claims_of_person(&account, client, scope, asked.as_ref());
    Ok(account.map(person_claims).unwrap_or_default())
}

/// RFC 6749 §4.4: no session, no refresh token, no user.
fn client_credentials(
    mint: Mint<'_>,
    client: &Client,
    params: &Params,
    now: Timestamp,
) -> Result<Issued, GrantError> {
    if !client.is_confidential() {
        return Err(GrantError::NotAllowed);
    }
    let allowed = Scope::of(&client.scopes.0).without_identity();
    let scope = match params.get("scope") {
        None => allowed,
        Some(asked) => Scope::parse(asked)
            .filter(|asked| asked.is_within(&allowed))
            .ok_or(GrantError::Scope)?,
    };
    let audience = audience::chosen(client, params.all("resource"), mint.issuer.iss());
    let audience = audience.ok_or(GrantError::Target)?;
    let scope = scope.to_string();
    let life = life(client).min(mint.issuer.life());
    let terms = TokenTerms { audience: &audience, scope: &scope, life };
    let access_token = mint.issuer.client_token(&client.id, terms, now)?;
    Ok(Issued { access_token, life, refresh_token: None, id_token: None, scope })
}

/// What is issued with the access token.
#[derive(Clone, Copy)]
struct Extras<'a> {
    nonce: Option<&'a str>,
    person_claims: &'a Map<String, Value>,
    has_refresh: bool,
}

/// Signs the tokens of a committed grant.
fn issue(
    mint: Mint<'_>,
    granted: &Granted,
    terms: TokenTerms<'_>,
    extras: Extras<'_>,
) -> Result<Issued, GrantError> {
    sign(mint, granted, terms, extras).inspect_err(|_| mint.db.note_lost_response())
}

fn sign(
    mint: Mint<'_>,
    granted: &Granted,
    terms: TokenTerms<'_>,
    extras: Extras<'_>,
) -> Result<Issued, GrantError> {
    // The clock is read again: `auth_time` was read in the transaction, and `now` must not be
    // before it.
    let now = mint.db.clock().now();
    let life = mint.issuer.life_of(granted, terms.life, now);
    let access_token = mint.issuer.access_token_on(granted, terms, now)?;
    let is_openid = terms.scope.split(' ').any(|value| value == "openid");
    let Extras { nonce, person_claims: of_user, has_refresh } = extras;
    let claims = IdTokenClaims { access_token: &access_token, nonce, of_user, life };
    let id_token = is_openid.then(|| id_token::sign(mint.issuer, granted, claims, now));
    let (session_id, generation) = (granted.session_id, granted.generation);
    let refresh_token = has_refresh.then(|| mint.refresh_tokens.encode(session_id, generation));
    Ok(Issued {
        life,
        refresh_token: refresh_token.transpose()?,
        id_token: id_token.transpose()?,
        scope: terms.scope.to_owned(),
        access_token,
    })
}

fn life(client: &Client) -> Duration {
    Duration::from_secs(client.access_token_seconds.unsigned_abs())
}
