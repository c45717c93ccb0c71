//! The exchange of an authorization code for a client session (RFC 6749 §4.1.3). A code can be
//! exchanged once.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::granted::{ClientGrant, Granted, StatusEntry};
use crate::domain::id;
use crate::domain::oauth::client::entitlement;
use crate::domain::oauth::grant_error::GrantError;
use crate::domain::oauth::mint::Mint;
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pkce;
use crate::domain::oauth::{audience, claims};
use crate::domain::secret::digest;
use crate::domain::session;
use crate::entity::authorization_code::{Column, Entity, Model};
use crate::entity::client as client_row;
use crate::entity::session::{self as session_row, EndReason};
use crate::entity::{account, client};
use crate::scope::Audiences;
use crate::timestamp::Timestamp;

/// How long after its redemption a code may be retried, even after outages. A code that is found in
/// a log later must be worthless.
const MAX_RETRY_AGE: Duration = Duration::from_mins(10);

/// The input of the transaction: the code and the proof that an authenticated client presented.
#[derive(Clone)]
struct Presented {
    digest: Vec<u8>,
    /// The status list entry for the session. `None` if the code is unknown or used.
    entry: Option<StatusEntry>,
    client: client::Model,
    redirect_uri: Option<String>,
    verifier: Option<String>,
    /// The audiences to which the token is limited.
    resources: Vec<String>,
    /// Determines the audience of clients without audiences.
    issuer: String,
    settings: TokenSettings,
    origin: Origin,
    database_timeout: Duration,
}

enum Outcome {
    Redeemed(Box<ClientGrant>),
    Rejected,
    WrongTarget,
    Reused,
}

/// Starts a client session for a code.
///
/// A code is valid for one attempt of its client. The attempt uses up the code, even if the
/// redirect URI or the verifier is wrong. If a code is presented twice, two parties may have it. So
/// the session of the code ends (RFC 6749 §4.1.2). This end is committed before the error is
/// returned.
///
/// A retry is exempt. If the response to the first exchange may have been lost in an outage, the
/// client gets tokens of the same session again (see `grant_again`).
///
/// # Errors
/// See [`GrantError`]. The code is still valid if the database or the allocation of the status list
/// entry failed.
pub async fn redeem(
    Mint { db, entries, issuer, settings, .. }: Mint<'_>,
    client: &client::Model,
    params: &Params,
    origin: &Origin,
    now: Timestamp,
) -> Result<ClientGrant, GrantError> {
    let digest = digest(params.get("code").ok_or(GrantError::Invalid("code is missing"))?);
    // An entry is allocated only for an existing code, so that guesses of codes do not use up
    // entries.
    let query = Entity::find_by_id(digest.clone()).filter(Column::RedeemedAt.is_null());
    let entry = match db.read(|db| async move { query.one(&db).await }).await? {
        Some(_) => Some(entries.allocate(db, now).await?),
        None => None,
    };
    let presented = Presented {
        digest,
        entry,
        client: client.clone(),
        redirect_uri: params.get("redirect_uri").map(str::to_owned),
        verifier: params.get("code_verifier").map(str::to_owned),
        resources: params.all("resource").map(str::to_owned).collect(),
        issuer: issuer.iss().to_owned(),
        settings: settings.clone(),
        origin: origin.clone(),
        database_timeout: db.wait(),
    };
    let outcome = db.write(presented, |txn, now, presented| {
        Box::pin(redeem_in_transaction(txn, presented, now))
    });
    match outcome.await? {
        Outcome::Redeemed(grant) => Ok(*grant),
        Outcome::Rejected => Err(GrantError::Rejected),
        Outcome::WrongTarget => Err(GrantError::Target),
        Outcome::Reused => {
            tracing::warn!("authorization code reused; its session ended");
            Err(GrantError::Rejected)
        }
    }
}

async fn redeem_in_transaction(
    txn: &DatabaseTransaction,
    presented: &Presented,
    now: Timestamp,
) -> Result<Outcome, GrantError> {
    // The client is locked first, as in client removal, so that no session starts that the removal
    // would miss.
    if !client_row::Entity::lock_registered(txn, &presented.client.id).await? {
        return Ok(Outcome::Rejected);
    }
    let row = Entity::find_by_id(presented.digest.clone()).one(txn).await?;
    let Some(row) = row.filter(|row| row.client_id == presented.client.id) else {
        return Ok(Outcome::Rejected);
    };
    // The account is locked next, as when its sessions are ended or a consent is withdrawn.
    let account = session::lock_account(txn, row.account_id).await?;
    let session_id = id::new(now);
    if !mark_used(txn, presented, session_id, now).await? || presented.entry.is_none() {
        return handle_reuse(txn, presented, account.as_ref(), now).await;
    }
    if !is_proof_valid(&row, presented) {
        return Ok(Outcome::Rejected);
    }
    let Some(row) = limited_to_registration(row, presented) else { return Ok(Outcome::Rejected) };
    let resources = presented.resources.iter().map(String::as_str);
    let Some(audience) = audience::narrowed(resources, &row.audience) else {
        return Ok(Outcome::WrongTarget);
    };
    // The browser session is locked, so that its logout either ends the new session as well, or
    // commits first.
    let browser = session_row::Entity::find_by_id(row.browser_session_id).lock_exclusive();
    let browser = browser.one(txn).await?;
    let (Some(account), Some(browser)) = (account.filter(account::Model::is_enabled), browser)
    else {
        return Ok(Outcome::Rejected);
    };
    if !browser.is_live(&account, now) {
        return Ok(Outcome::Rejected);
    }
    session::limit_client_sessions(txn, account.id, &presented.client.id, now).await?;
    let session = session_of(&row, session_id, browser, &account, presented, now);
    session::insert(txn, &session).await?;
    Event::new(Kind::CodeRedeemed)
        .session(session.account_id, session.id, &session.client_id)
        .record(txn, &presented.origin, now)
        .await?;
    Ok(redeemed(row, audience, session, &account, presented))
}

/// The grant of a code to its client. `code` is the result of [`limited_to_registration`].
fn redeemed(
    code: Model,
    audience: Audiences,
    session: session_row::Model,
    account: &account::Model,
    presented: &Presented,
) -> Outcome {
    let names = code.claims.as_ref().map_or(&[][..], |requested| &requested.id_token);
    let person_claims = claims::claims_of_person(account, &presented.client, &code.scope, names);
    let has_refresh = code.scope.has("offline_access");
    let granted = Granted {
        scope: code.scope,
        audience: Some(audience),
        ..Granted::of(session, account.email_claims())
    };
    let grant = ClientGrant { granted, nonce: code.nonce, person_claims, has_refresh };
    Outcome::Redeemed(Box::new(grant))
}

/// Marks the code as used. The database decides races: only one of several concurrent calls matches
/// the row. Also stores the session ID, for the case that the code is reused later.
async fn mark_used(
    txn: &DatabaseTransaction,
    presented: &Presented,
    session_id: Uuid,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let updated = Entity::update_many()
        .col_expr(Column::RedeemedAt, Expr::value(now))
        .col_expr(Column::SessionId, Expr::value(session_id))
        .filter(Column::Digest.eq(presented.digest.clone()))
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::RedeemedAt.is_null())
        .exec(txn)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Whether redirect URI and verifier match the code (RFC 6749 §4.1.3, RFC 7636 §4.6). A verifier
/// without a challenge is a downgrade attack (RFC 9700 §4.8.2).
fn is_proof_valid(row: &Model, presented: &Presented) -> bool {
    let is_same_uri = presented.redirect_uri.as_deref() == Some(row.redirect_uri.as_str());
    is_same_uri
        && match (&row.code_challenge, &presented.verifier) {
            (Some(challenge), Some(verifier)) => pkce::proves(verifier, challenge),
            (None, None) => true,
            _ => false,
        }
}

/// The code's grant, limited to the current registration of the client. `None` if nothing is left
/// of the grant, or if the redirect URI is no longer registered.
fn limited_to_registration(code: Model, presented: &Presented) -> Option<Model> {
    let Presented { client, issuer, .. } = presented;
    let scope = entitlement::scope(client, &code.scope);
    let audience = entitlement::audience(client, &code.audience, issuer);
    let is_valid = entitlement::has_redirect_uri(client, &code.redirect_uri)
        && !scope.is_empty()
        && !audience.is_empty();
    let claims = claims::stored(entitlement::claims(client, &scope, code.claims.as_ref()));
    is_valid.then_some(Model { scope, audience, claims, ..code })
}

/// The new session. Without refresh tokens, it lasts as long as the browser session, so that its
/// client can be notified of the logout. Its client address and user agent are those of the user's
/// browser, not of the client's server.
fn session_of(
    code: &Model,
    id: Uuid,
    browser: session_row::Model,
    account: &account::Model,
    presented: &Presented,
    now: Timestamp,
) -> session_row::Model {
    let until = (!code.scope.has("offline_access")).then_some(browser.absolute_expires_at);
    let absolute_expires_at = until.unwrap_or_else(|| now.plus(presented.settings.session_life()));
    let idle = until.unwrap_or_else(|| now.plus(presented.settings.refresh_token_life()));
    session_row::Model {
        id,
        account_id: code.account_id,
        client_id: code.client_id.clone(),
        scope: code.scope.clone(),
        auth_time: code.auth_time,
        // Stores when this session started. The login, and so `auth_time`, may be days older.
        rotated_at: Some(now),
        idle_expires_at: idle.min(absolute_expires_at),
        absolute_expires_at,
        address: browser.address,
        user_agent: browser.user_agent,
        status_list: presented.entry.map(|entry| entry.list),
        status_index: presented.entry.map(|entry| entry.index),
        browser_session_id: Some(code.browser_session_id),
        audience: Some(code.audience.clone()),
        claims: code.claims.clone(),
        epoch: Some(account.session_epoch),
        ..session_row::Model::default()
    }
}

/// Handles a code that could not be marked as used: it has expired, or it was used before. If it
/// was used, the request is a retry or a replay. A replay ends the session of the code and is
/// recorded. Further replays are not recorded, so that they do not flood the audit log.
async fn handle_reuse(
    txn: &DatabaseTransaction,
    presented: &Presented,
    account: Option<&account::Model>,
    now: Timestamp,
) -> Result<Outcome, GrantError> {
    // The row is read again, because a concurrent exchange may have stored its session ID
    // meanwhile.
    let row = Entity::find_by_id(presented.digest.clone()).one(txn).await?;
    let Some(row) = row else { return Ok(Outcome::Rejected) };
    let Some(session_id) = row.session_id else { return Ok(Outcome::Rejected) };
    if let Some(account) = account
        && is_retry(txn, &row, presented, now).await?
        && let Some(outcome) = grant_again(txn, &row, presented, account, now).await?
    {
        return Ok(outcome);
    }
    if !session::end(txn, session_id, EndReason::CodeReuse, now).await? {
        return Ok(Outcome::Rejected);
    }
    Event::new(Kind::CodeReuse)
        .session(row.account_id, session_id, &row.client_id)
        .record(txn, &presented.origin, now)
        .await?;
    Ok(Outcome::Reused)
}

/// Whether a used code is presented again by the same client because the response may have been
/// lost in an outage. The client must be confidential, or prove its identity by the PKCE verifier.
/// It must present the same redirect URI and verifier.
async fn is_retry(
    txn: &DatabaseTransaction,
    row: &Model,
    presented: &Presented,
    now: Timestamp,
) -> Result<bool, GrantError> {
    let Some(redeemed_at) = row.redeemed_at else { return Ok(false) };
    let is_authenticated = presented.client.is_confidential() || row.code_challenge.is_some();
    if !is_authenticated
        || !is_proof_valid(row, presented)
        || now.since(redeemed_at) >= MAX_RETRY_AGE
    {
        return Ok(false);
    }
    let retry_window = presented.settings.refresh_retry_window();
    let timeout = presented.database_timeout;
    Ok(database::may_have_lost_response(txn, redeemed_at, retry_window, timeout, now).await?)
}

/// Grants tokens of the code's session again. The account must be locked. Returns `None` if the
/// session is not live.
///
/// If the first refresh token of the session was used, the client has received a response, and this
/// is an earlier request that was delayed. The request is rejected, and no session ends.
async fn grant_again(
    txn: &DatabaseTransaction,
    row: &Model,
    presented: &Presented,
    account: &account::Model,
    now: Timestamp,
) -> Result<Option<Outcome>, GrantError> {
    let session = session_row::Entity::find_by_id(row.session_id.unwrap_or_default());
    let session = session.lock_exclusive().one(txn).await?;
    let is_live = |session: &session_row::Model| session.is_live(account, now);
    let Some(session) = session.filter(is_live).filter(|_| account.is_enabled()) else {
        return Ok(None);
    };
    if session.generation != 0 {
        return Ok(Some(Outcome::Rejected));
    }
    let Some(code) = limited_to_registration(row.clone(), presented) else {
        return Ok(Some(Outcome::Rejected));
    };
    let resources = presented.resources.iter().map(String::as_str);
    let Some(audience) = audience::narrowed(resources, &code.audience) else {
        return Ok(Some(Outcome::WrongTarget));
    };
    Event::new(Kind::CodeRedeemed)
        .session(session.account_id, session.id, &session.client_id)
        .reason("retry")
        .record(txn, &presented.origin, now)
        .await?;
    // The grant may be smaller than before, if the registration of the client was reduced.
    Ok(Some(redeemed(code, audience, session, account, presented)))
}
