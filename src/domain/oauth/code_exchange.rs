//! The exchange of an authorization code, once, for a client session (RFC 6749 §4.1.3).

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
use crate::domain::oauth::secret::digest;
use crate::domain::oauth::{audience, claims};
use crate::domain::session;
use crate::entity::authorization_code::{Column, Entity, Model};
use crate::entity::client as client_row;
use crate::entity::session::{self as session_row, EndReason};
use crate::entity::{account, client};
use crate::scope::Audiences;
use crate::timestamp::Timestamp;

/// How long after its redemption a code may be retried, whatever outages there are: a code found in
/// a log later must be worthless.
const REPEATABLE: Duration = Duration::from_mins(10);

/// The input of the transaction: the code and its proof, as presented by an authenticated client.
#[derive(Clone)]
struct Presented {
    digest: Vec<u8>,
    /// The status list entry for the session; `None` if the code is unknown or used.
    entry: Option<StatusEntry>,
    client: client::Model,
    redirect_uri: Option<String>,
    verifier: Option<String>,
    /// The audiences that the token is limited to.
    resources: Vec<String>,
    /// Determines the audience of clients without audiences.
    issuer: String,
    settings: TokenSettings,
    origin: Origin,
    /// How long a request waits for the database.
    wait: Duration,
}

enum Outcome {
    Redeemed(Box<ClientGrant>),
    Rejected,
    WrongTarget,
    Reused,
}

/// Starts a client session for a code, once.
///
/// A code is valid for one attempt of its client, which uses it up whether or not redirect URI and
/// verifier are correct. If a code is presented twice, two parties have it, so its session ends
/// (RFC 6749 §4.1.2). That is committed before the error is returned. A retry is exempt: if the
/// response to the first exchange may have been lost in an outage, the client gets tokens of the
/// same session again (see `repeat`).
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
    // Entries are allocated only for existing codes, so that guessing uses none up.
    let question = Entity::find_by_id(digest.clone()).filter(Column::RedeemedAt.is_null());
    let entry = match db.read(|db| async move { question.one(&db).await }).await? {
        Some(_) => Some(entries.allocate(db, now).await?),
        None => None,
    };
    let shown = Presented {
        digest,
        entry,
        client: client.clone(),
        redirect_uri: params.get("redirect_uri").map(str::to_owned),
        verifier: params.get("code_verifier").map(str::to_owned),
        resources: params.all("resource").map(str::to_owned).collect(),
        issuer: issuer.iss().to_owned(),
        settings: settings.clone(),
        origin: origin.clone(),
        wait: db.wait(),
    };
    match db.write(shown, |txn, now, shown| Box::pin(redeem_in(txn, shown, now))).await? {
        Outcome::Redeemed(grant) => Ok(*grant),
        Outcome::Rejected => Err(GrantError::Rejected),
        Outcome::WrongTarget => Err(GrantError::Target),
        Outcome::Reused => {
            tracing::warn!("authorization code reused; its session ended");
            Err(GrantError::Rejected)
        }
    }
}

async fn redeem_in(
    txn: &DatabaseTransaction,
    shown: &Presented,
    now: Timestamp,
) -> Result<Outcome, GrantError> {
    // The client is locked first, as in client removal: no session can start that the removal would
    // miss.
    if !client_row::Entity::lock_registered(txn, &shown.client.id).await? {
        return Ok(Outcome::Rejected);
    }
    let row = Entity::find_by_id(shown.digest.clone()).one(txn).await?;
    let Some(row) = row.filter(|row| row.client_id == shown.client.id) else {
        return Ok(Outcome::Rejected);
    };
    // The account is locked next, as when its sessions are ended or a consent is withdrawn.
    let account = session::lock_account(txn, row.account_id).await?;
    let session_id = id::new(now);
    if !mark_used(txn, shown, session_id, now).await? || shown.entry.is_none() {
        return judge_reuse(txn, shown, account.as_ref(), now).await;
    }
    if !is_proved(&row, shown) {
        return Ok(Outcome::Rejected);
    }
    let Some(row) = left_of(row, shown) else { return Ok(Outcome::Rejected) };
    let resources = shown.resources.iter().map(String::as_str);
    let Some(audience) = audience::narrowed(resources, &row.audience) else {
        return Ok(Outcome::WrongTarget);
    };
    // Locked, so that a logout of the browser either ends this session too, or commits first.
    let browser = session_row::Entity::find_by_id(row.browser_session_id).lock_exclusive();
    let browser = browser.one(txn).await?;
    let (Some(account), Some(browser)) = (account.filter(account::Model::is_enabled), browser)
    else {
        return Ok(Outcome::Rejected);
    };
    if !browser.is_live(&account, now) {
        return Ok(Outcome::Rejected);
    }
    session::make_room(txn, account.id, &shown.client.id, now).await?;
    let session = session_of(&row, session_id, browser, &account, shown, now);
    session::insert(txn, &session).await?;
    Event::new(Kind::CodeRedeemed)
        .session(session.account_id, session.id, &session.client_id)
        .record(txn, &shown.origin, now)
        .await?;
    Ok(redeemed(row, audience, session, &account, shown))
}

/// The grant of a code, limited by [`left_of`], to its client.
fn redeemed(
    code: Model,
    audience: Audiences,
    session: session_row::Model,
    account: &account::Model,
    shown: &Presented,
) -> Outcome {
    let names = code.claims.as_ref().map_or(&[][..], |asked| &asked.id_token);
    let person_claims = claims::claims_of_person(account, &shown.client, &code.scope, names);
    let has_refresh = code.scope.has("offline_access");
    let granted = Granted {
        scope: code.scope,
        audience: Some(audience),
        ..Granted::of(session, account.email_claims())
    };
    let grant = ClientGrant { granted, nonce: code.nonce, person_claims, has_refresh };
    Outcome::Redeemed(Box::new(grant))
}

/// Marks the code as used. The database decides races: of simultaneous calls, one matches the row.
/// The session ID is stored with it, for a later reuse of the code.
async fn mark_used(
    txn: &DatabaseTransaction,
    shown: &Presented,
    session_id: Uuid,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let spent = Entity::update_many()
        .col_expr(Column::RedeemedAt, Expr::value(now))
        .col_expr(Column::SessionId, Expr::value(session_id))
        .filter(Column::Digest.eq(shown.digest.clone()))
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::RedeemedAt.is_null())
        .exec(txn)
        .await?;
    Ok(spent.rows_affected == 1)
}

/// RFC 6749 §4.1.3, RFC 7636 §4.6; a verifier without a challenge is a downgrade (RFC 9700 §4.8.2).
fn is_proved(row: &Model, shown: &Presented) -> bool {
    let is_same_uri = shown.redirect_uri.as_deref() == Some(row.redirect_uri.as_str());
    is_same_uri
        && match (&row.code_challenge, &shown.verifier) {
            (Some(challenge), Some(verifier)) => pkce::proves(verifier, challenge),
            (None, None) => true,
            _ => false,
        }
}

/// The code's grant, limited to what the client is still registered for. `None` if nothing is left,
/// or the redirect URI is no longer registered.
fn left_of(code: Model, shown: &Presented) -> Option<Model> {
    let Presented { client, issuer, .. } = shown;
    let scope = entitlement::scope(client, &code.scope);
    let audience = entitlement::audience(client, &code.audience, issuer);
    let is_good = entitlement::has_redirect_uri(client, &code.redirect_uri)
        && !scope.is_empty()
        && !audience.is_empty();
    let claims = claims::stored(entitlement::claims(client, &scope, code.claims.as_ref()));
    is_good.then_some(Model { scope, audience, claims, ..code })
}

/// A session without refresh tokens lives as long as the browser's, so that its client can be
/// notified of the logout. Its address and user agent are those of the user's browser, not of the
/// client's server.
fn session_of(
    code: &Model,
    id: Uuid,
    browser: session_row::Model,
    account: &account::Model,
    shown: &Presented,
    now: Timestamp,
) -> session_row::Model {
    let until = (!code.scope.has("offline_access")).then_some(browser.absolute_expires_at);
    let absolute_expires_at = until.unwrap_or_else(|| now.plus(shown.settings.session_life()));
    let idle = until.unwrap_or_else(|| now.plus(shown.settings.refresh_token_life()));
    session_row::Model {
        id,
        account_id: code.account_id,
        client_id: code.client_id.clone(),
        scope: code.scope.clone(),
        auth_time: code.auth_time,
        idle_expires_at: idle.min(absolute_expires_at),
        absolute_expires_at,
        address: browser.address,
        user_agent: browser.user_agent,
        status_list: shown.entry.map(|entry| entry.list),
        status_index: shown.entry.map(|entry| entry.index),
        browser_session_id: Some(code.browser_session_id),
        audience: Some(code.audience.clone()),
        claims: code.claims.clone(),
        epoch: Some(account.session_epoch),
        ..session_row::Model::default()
    }
}

/// Distinguishes an expired code from a used one, and a retry from a replay. The session of a
/// replayed code ends once and is recorded once: repeated replays do not flood the audit log.
async fn judge_reuse(
    txn: &DatabaseTransaction,
    shown: &Presented,
    account: Option<&account::Model>,
    now: Timestamp,
) -> Result<Outcome, GrantError> {
    // Read again: a concurrent exchange may have stored its session ID by now.
    let row = Entity::find_by_id(shown.digest.clone()).one(txn).await?;
    let Some(row) = row else { return Ok(Outcome::Rejected) };
    let Some(session_id) = row.session_id else { return Ok(Outcome::Rejected) };
    if let Some(account) = account
        && is_retry(txn, &row, shown, now).await?
        && let Some(outcome) = repeat(txn, &row, shown, account, now).await?
    {
        return Ok(outcome);
    }
    if !session::end(txn, session_id, EndReason::CodeReuse, now).await? {
        return Ok(Outcome::Rejected);
    }
    Event::new(Kind::CodeReuse)
        .session(row.account_id, session_id, &row.client_id)
        .record(txn, &shown.origin, now)
        .await?;
    Ok(Outcome::Reused)
}

/// Whether a used code is presented again by the same client because an outage may have lost the
/// response. The client must have authenticated by its secret or at least by the PKCE verifier, and
/// must present the same redirect URI and verifier.
async fn is_retry(
    txn: &DatabaseTransaction,
    row: &Model,
    shown: &Presented,
    now: Timestamp,
) -> Result<bool, GrantError> {
    let Some(redeemed_at) = row.redeemed_at else { return Ok(false) };
    let is_authenticated = shown.client.is_confidential() || row.code_challenge.is_some();
    let window = shown.settings.refresh_retry_window();
    Ok(is_authenticated
        && is_proved(row, shown)
        && now.since(redeemed_at) < REPEATABLE
        && database::may_have_lost_response(txn, redeemed_at, window, shown.wait, now).await?)
}

/// Grants tokens of the code's session again, with the account locked. `None` if the session is not
/// live. If its first refresh token was used, a response did arrive and this is an earlier, delayed
/// request: it is rejected without ending anything.
async fn repeat(
    txn: &DatabaseTransaction,
    row: &Model,
    shown: &Presented,
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
    let Some(code) = left_of(row.clone(), shown) else { return Ok(Some(Outcome::Rejected)) };
    let resources = shown.resources.iter().map(String::as_str);
    let Some(audience) = audience::narrowed(resources, &code.audience) else {
        return Ok(Some(Outcome::WrongTarget));
    };
    Event::new(Kind::CodeRedeemed)
        .session(session.account_id, session.id, &session.client_id)
        .reason("retry")
        .record(txn, &shown.origin, now)
        .await?;
    // Limited to what the client is registered for now, which may be less than before.
    Ok(Some(redeemed(code, audience, session, account, shown)))
}
