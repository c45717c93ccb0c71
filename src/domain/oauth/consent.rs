//! Consents that users gave to clients: stored, listed and withdrawn.
//!
//! A consent is for a scope at an audience. It does not extend to other audiences, so each audience
//! has a separate scope. Single claims, requested by name with the parameter `claims` (OpenID
//! Connect Core 1.0 §5.5), are returned to the client itself, so consent for them has no audience.

use std::collections::BTreeMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Set,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::audience;
use crate::domain::oauth::authorization_request::AuthorizationRequest;
use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::claims::{is_in_scope, outside_scope};
use crate::domain::oauth::client::metadata::is_client_id;
use crate::domain::session;
use crate::domain::session::listing::{self, Login, SelfServiceError};
use crate::entity::client::{self as client_row, Model as Client, Texts};
use crate::entity::consent::{ActiveModel, Column, Entity, Model, ScopesByAudience};
use crate::entity::session::{self as session_row, EndReason};
use crate::entity::{authorization_code, pending_authorization};
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// Maximum number of consents in a list. There is at most one for each client that needs consent.
const MAX_LISTED: u64 = 1000;

/// The access that a client requests: the scope at each audience, and single claims that the scope
/// does not include.
#[derive(Debug, Clone, Copy)]
pub struct RequestedAccess<'a> {
    /// The client.
    pub client: &'a Client,
    /// The issuer, which determines the audience of a client without audiences.
    pub issuer: &'a str,
    /// The request of the client.
    pub request: &'a AuthorizationRequest,
}

/// The access that a user allowed a client.
#[derive(Debug, Clone)]
pub struct Consent {
    /// The client.
    pub client: Client,
    /// The allowed scope, by audience.
    pub access: BTreeMap<String, Scope>,
    /// The names of the allowed single claims that no allowed scope includes.
    pub claims: Vec<String>,
    /// When the user last gave this consent.
    pub granted_at: Timestamp,
}

/// Whether earlier consents cover a request: the scope at each audience, and each single claim. A
/// claim is covered by its name, or by a scope that includes it. Must run in the transaction that
/// grants the request, with the account locked.
///
/// # Errors
/// If the database refuses.
pub async fn covers(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    requested: RequestedAccess<'_>,
) -> Result<bool, DbErr> {
    let RequestedAccess { client, issuer, request } = requested;
    let AuthorizationRequest { scope, audience, .. } = request;
    let row = Entity::find_by_id((account_id, client.id.clone())).one(txn).await?;
    let Some(row) = row else { return Ok(false) };
    let access = access_of(&row, client, issuer);
    let is_named = |claim: &str| row.claims.as_ref().is_some_and(|names| names.has(claim));
    let is_allowed =
        |claim: &String| is_named(claim) || access.values().any(|scope| is_in_scope(claim, scope));
    Ok(audience.iter().all(|it| access.get(it).is_some_and(|allowed| scope.is_within(allowed)))
        && outside_scope(scope, &request.claims).iter().all(is_allowed))
}

/// Adds a request to the stored consent. Must run in the transaction that grants the request, with
/// the account locked exclusively.
///
/// # Errors
/// If the database refuses.
pub async fn remember(
    txn: &impl ConnectionTrait,
    browser: &Browser,
    requested: RequestedAccess<'_>,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let RequestedAccess { client, issuer, request } = requested;
    let AuthorizationRequest { scope, audience, .. } = request;
    let claims = outside_scope(scope, &request.claims);
    let account_id = browser.account.id;
    let before = Entity::find_by_id((account_id, client.id.clone())).one(txn).await?;
    let named = before.as_ref().and_then(|row| row.claims.clone()).unwrap_or_default();
    let mut access = before.map(|row| access_of(&row, client, issuer)).unwrap_or_default();
    for audience in audience.iter() {
        let allowed = access.remove(audience).unwrap_or_default();
        access.insert(audience.to_owned(), allowed.joined_with(scope));
    }
    let total = access.values().flat_map(Scope::iter).collect::<Scope>();
    let named = joined(named, &claims, &total);
    let row = ActiveModel {
        account_id: Set(account_id),
        client_id: Set(client.id.clone()),
        scope: Set(total),
        granted_at: Set(now),
        access: Set(Some(ScopesByAudience(access))),
        claims: Set(named),
    };
    let update = OnConflict::columns([Column::AccountId, Column::ClientId])
        .update_columns([Column::Scope, Column::GrantedAt, Column::Access, Column::Claims])
        .to_owned();
    Entity::insert(row).on_conflict(update).exec_without_returning(txn).await?;
    Event::new(Kind::ConsentGranted)
        .session(account_id, browser.session.id, &client.id)
        .reason(format!("{scope} at {audience}{}", audit_text(&claims)))
        .record(txn, origin, now)
        .await
}

/// Old and new single claims, except those that the scope includes.
fn joined(Texts(mut names): Texts, claims: &[String], scope: &Scope) -> Option<Texts> {
    for claim in claims {
        if !names.contains(claim) {
            names.push(claim.clone());
        }
    }
    names.retain(|claim| !is_in_scope(claim, scope));
    (!names.is_empty()).then_some(Texts(names))
}

fn audit_text(claims: &[String]) -> String {
    if claims.is_empty() { String::new() } else { format!(", claims {}", claims.join(" ")) }
}

/// The scopes of a row, by audience. A row that was stored before audiences existed applies to the
/// client's default audience, because the user was shown only this audience.
fn access_of(row: &Model, client: &Client, issuer: &str) -> BTreeMap<String, Scope> {
    match &row.access {
        Some(ScopesByAudience(access)) => access.clone(),
        None => BTreeMap::from([(audience::default_of(client, issuer), row.scope.clone())]),
    }
}

/// The consents that the user gave to clients that need consent, newest first, at most a thousand.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db, account_id: Uuid, issuer: &str) -> Result<Vec<Consent>, DbErr> {
    let query = Entity::find()
        .find_also_related(client_row::Entity)
        .filter(Column::AccountId.eq(account_id))
        .filter(client_row::Entity::needs_consent())
        .order_by_desc(Column::GrantedAt)
        .order_by_asc(Column::ClientId)
        .limit(MAX_LISTED);
    let rows = db.read(|db| async move { query.all(&db).await }).await?;
    let consents = rows.into_iter().filter_map(|(row, client)| {
        let client = client?;
        let access = access_of(&row, &client, issuer);
        let claims = row.claims.unwrap_or_default().0;
        Some(Consent { client, access, claims, granted_at: row.granted_at })
    });
    Ok(consents.collect())
}

/// As [`list`], for the account of a JSON API session.
///
/// # Errors
/// [`SelfServiceError::NotLoggedIn`], or a database error.
pub async fn list_for(
    db: &Db,
    login: Login,
    issuer: &str,
    now: Timestamp,
) -> Result<Vec<Consent>, SelfServiceError> {
    let Login { account_id, session_id } = login;
    let account = session::account_of_live(db, session_id, account_id, now).await?;
    let account = account.ok_or(SelfServiceError::NotLoggedIn)?;
    Ok(list(db, account.id, issuer).await?)
}

/// Withdraws a consent: deletes it, ends all sessions of the client with this account, including
/// sessions with `offline_access`, and deletes unused codes and pending requests.
///
/// # Errors
/// See [`SelfServiceError`]; then nothing has changed.
pub async fn withdraw(
    db: &Db,
    login: Login,
    client_id: &str,
    origin: &Origin,
) -> Result<(), SelfServiceError> {
    if !is_client_id(client_id) {
        return Err(SelfServiceError::NotFound);
    }
    let (client_id, origin) = (client_id.to_owned(), origin.clone());
    db.write((client_id, origin), move |txn, now, (client_id, origin)| {
        Box::pin(withdraw_in_transaction(txn, login, client_id, origin, now))
    })
    .await
}

/// The account is locked first. Transactions that redeem a code or grant a request lock the account
/// as well. So this transaction finds what they have written, or they find no consent.
async fn withdraw_in_transaction(
    txn: &DatabaseTransaction,
    login: Login,
    client_id: &str,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), SelfServiceError> {
    listing::lock_own_session(txn, login, now).await?.ok_or(SelfServiceError::NotLoggedIn)?;
    let Login { account_id, session_id } = login;
    let found = Entity::find_by_id((account_id, client_id.to_owned()))
        .find_also_related(client_row::Entity)
        .filter(client_row::Entity::needs_consent())
        .one(txn)
        .await?;
    let (row, _) = found.ok_or(SelfServiceError::NotFound)?;
    session::end_of_client(txn, account_id, client_id, EndReason::Revoked, now).await?;
    delete_pending(txn, account_id, client_id, now).await?;
    Entity::delete_by_id((account_id, client_id.to_owned())).exec(txn).await?;
    let claims = row.claims.unwrap_or_default().0;
    let event = Event::new(Kind::ConsentWithdrawn).session(account_id, session_id, client_id);
    let event = event.reason(format!("{}{}", row.scope, audit_text(&claims)));
    Ok(event.record(txn, origin, now).await?)
}

/// Deletes unredeemed codes, and pending requests in browsers in which the user is logged in.
/// Redeemed codes remain, so that their reuse is detected.
async fn delete_pending(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    client_id: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    use authorization_code::Column as Code;
    use pending_authorization::Column as Pending;

    authorization_code::Entity::delete_many()
        .filter(Code::AccountId.eq(account_id))
        .filter(Code::ClientId.eq(client_id))
        .filter(Code::RedeemedAt.is_null())
        .filter(Code::ExpiresAt.gt(now))
        .exec(txn)
        .await?;
    let browsers = session_row::Entity::find()
        .select_only()
        .column(session_row::Column::CookieDigest)
        .filter(session_row::Column::CookieDigest.is_not_null())
        .filter(session_row::Entity::live_of(account_id, now))
        .into_query();
    pending_authorization::Entity::delete_many()
        .filter(Pending::ClientId.eq(client_id))
        .filter(Pending::ExpiresAt.gt(now))
        .filter(Pending::BrowserDigest.in_subquery(browsers))
        .exec(txn)
        .await?;
    Ok(())
}
