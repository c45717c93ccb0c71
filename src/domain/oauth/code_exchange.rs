//! The exchange of an authorization code, once, for a client session (RFC 6749 §4.1.3).

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::{self, Db};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::granted::{Granted, StatusEntry};
use crate::domain::id;
use crate::domain::oauth::client::entitlement;
use crate::domain::oauth::pkce;
use crate::domain::oauth::secret::digest;
use crate::domain::oauth::{audience, claims};
use crate::domain::scope::Scope;
use crate::domain::session::{self};
use crate::domain::status::{AllocationError, StatusEntries};
use crate::entity::authorization_code::{Column, Entity, Model};
use crate::entity::client as client_row;
use crate::entity::session::{self as session_row, EndReason};
use crate::entity::{account, client};
use crate::timestamp::Timestamp;

/// Why a code was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Unknown, expired or already used, of another client or redirect URI, or with a wrong
    /// verifier. One variant on purpose.
    #[error("the code is not valid")]
    Rejected,
    /// An audience was requested that was not granted.
    #[error("the resource was not granted")]
    Target,
    /// No status list entry was available for the session; the code is still valid.
    #[error("the session has no status")]
    Status(#[from] AllocationError),
    /// The database refused or failed; the code is still valid.
    #[error("the code could not be redeemed")]
    Database(#[from] DbErr),
}

/// How long after its redemption a code may be retried, whatever outages there are: a code found in
/// a log later must be worthless.
const REPEATABLE: Duration = Duration::from_mins(10);

/// A request to exchange a code.
pub struct Redemption<'a> {
    /// The code.
    pub code: &'a str,
    /// The client, already authenticated.
    pub client: &'a client::Model,
    /// The redirect URI that the client claims for the code.
    pub redirect_uri: Option<&'a str>,
    /// The PKCE code verifier.
    pub verifier: Option<&'a str>,
    /// The audiences that the token is limited to.
    pub resources: Vec<String>,
    /// The issuer, which determines the audience of clients without audiences.
    pub issuer: &'a str,
    /// Where the request came from.
    pub origin: &'a Origin,
}

/// The result of a code exchange.
#[derive(Debug, Clone)]
pub struct Redeemed {
    /// The session started.
    pub granted: Granted,
    /// The audiences of the first access token, space-separated.
    pub audience: String,
    /// The nonce for the ID token.
    pub nonce: Option<String>,
    /// The claims about the user for the ID token.
    pub person_claims: Map<String, Value>,
    /// Whether a refresh token was granted.
    pub has_refresh: bool,
}

/// The input of the transaction.
#[derive(Clone)]
struct Presented {
    digest: Vec<u8>,
    entry: Option<StatusEntry>,
    client: client::Model,
    redirect_uri: Option<String>,
    verifier: Option<String>,
    resources: Vec<String>,
    issuer: String,
    origin: Origin,
    /// How long a request waits for the database.
    wait: Duration,
}

enum Outcome {
    Redeemed(Box<Redeemed>),
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
/// See [`CodeError`].
pub async fn redeem(
    db: &Db,
    entries: &StatusEntries,
    redemption: Redemption<'_>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Redeemed, CodeError> {
    let digest = digest(redemption.code);
    // Entries are allocated only for existing codes, so that guessing uses none up.
    let question = Entity::find_by_id(digest.clone()).filter(Column::RedeemedAt.is_null());
    let entry = match db.read(|db| async move { question.one(&db).await }).await? {
        Some(_) => Some(entries.allocate(db, now).await?),
        None => None,
    };
    let shown = Presented {
        digest,
        entry,
        client: redemption.client.clone(),
        redirect_uri: redemption.redirect_uri.map(str::to_owned),
        verifier: redemption.verifier.map(str::to_owned),
        resources: redemption.resources,
        issuer: redemption.issuer.to_owned(),
        origin: redemption.origin.clone(),
        wait: db.wait(),
    };
    let settings = settings.clone();
    let outcome = db
        .write((shown, settings), move |txn, now, (shown, settings)| {
            Box::pin(async move { redeem_in(txn, shown, settings, now).await })
        })
        .await?;
    match outcome {
        Outcome::Redeemed(redeemed) => Ok(*redeemed),
        Outcome::Rejected => Err(CodeError::Rejected),
        Outcome::WrongTarget => Err(CodeError::Target),
        Outcome::Reused => {
            tracing::warn!("authorization code reused; its session ended");
            Err(CodeError::Rejected)
        }
    }
}

async fn redeem_in(
    txn: &DatabaseTransaction,
    shown: &Presented,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Outcome, CodeError> {
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
        return judge_reuse(txn, shown, account.as_ref(), settings, now).await;
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
    let nonce = row.nonce.clone();
    let scope = Scope::parse(&row.scope).unwrap_or_default();
    let person_claims =
        claims::claims_of_person(&account, &shown.client, &scope, row.claims.as_ref());
    let has_refresh = scope.has("offline_access");
    session::make_room(txn, account.id, &shown.client.id, now).await?;
    let mut session = session_of(row, browser, has_refresh, settings, now);
    session.id = session_id;
    session.epoch = Some(account.session_epoch);
    session.status_list = shown.entry.map(|entry| entry.list);
    session.status_index = shown.entry.map(|entry| entry.index);
    session::insert(txn, &session).await?;
    Event::new(Kind::CodeRedeemed)
        .session(session.account_id, session.id, &session.client_id)
        .record(txn, &shown.origin, now)
        .await?;
    let granted = Granted::of(session, account.email_claims());
    Ok(Outcome::Redeemed(Box::new(Redeemed {
        granted,
        audience,
        nonce,
        person_claims,
        has_refresh,
    })))
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
    let scope = entitlement::scope(client, &Scope::parse(&code.scope)?);
    let audience = entitlement::audience(client, &code.audience, issuer);
    let is_good = entitlement::has_redirect_uri(client, &code.redirect_uri)
        && !scope.is_empty()
        && !audience.is_empty();
    let asked = code.claims.as_ref().map(|asked| entitlement::claims(client, &scope, asked));
    let claims = asked.and_then(claims::stored);
    is_good.then(|| Model { scope: scope.to_string(), audience, claims, ..code })
}

/// A session without refresh tokens lives as long as the browser's, so that its client can be
/// notified of the logout. Its address and user agent are those of the user's browser, not of the
/// client's server.
fn session_of(
    code: Model,
    browser: session_row::Model,
    has_refresh: bool,
    settings: &TokenSettings,
    now: Timestamp,
) -> session_row::Model {
    let until = (!has_refresh).then_some(browser.absolute_expires_at);
    let absolute_expires_at = until.unwrap_or_else(|| now.plus(settings.session_life()));
    let idle = until.unwrap_or_else(|| now.plus(settings.refresh_token_life()));
    session_row::Model {
        id: id::new(now),
        account_id: code.account_id,
        client_id: code.client_id,
        scope: code.scope,
        auth_time: code.auth_time,
        idle_expires_at: idle.min(absolute_expires_at),
        absolute_expires_at,
        address: browser.address,
        user_agent: browser.user_agent,
        browser_session_id: Some(code.browser_session_id),
        audience: Some(code.audience),
        claims: code.claims,
        epoch: browser.epoch,
        ..session_row::Model::default()
    }
}

/// Distinguishes an expired code from a used one, and a retry from a replay. The session of a
/// replayed code ends once and is recorded once: repeated replays do not flood the audit log.
async fn judge_reuse(
    txn: &DatabaseTransaction,
    shown: &Presented,
    account: Option<&account::Model>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Outcome, CodeError> {
    // Read again: a concurrent exchange may have stored its session ID by now.
    let row = Entity::find_by_id(shown.digest.clone()).one(txn).await?;
    let Some(row) = row else { return Ok(Outcome::Rejected) };
    let Some(session_id) = row.session_id else { return Ok(Outcome::Rejected) };
    if let Some(account) = account
        && is_retry(txn, &row, shown, settings.refresh_retry_window(), now).await?
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
    window: Duration,
    now: Timestamp,
) -> Result<bool, CodeError> {
    let Some(redeemed_at) = row.redeemed_at else { return Ok(false) };
    let is_authenticated = shown.client.auth_method != "none" || row.code_challenge.is_some();
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
) -> Result<Option<Outcome>, CodeError> {
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
    // Limited to what the client is registered for now, which may be less than before.
    let scope = Scope::parse(&code.scope).unwrap_or_default();
    let person_claims =
        claims::claims_of_person(account, &shown.client, &scope, code.claims.as_ref());
    let has_refresh = scope.has("offline_access");
    Event::new(Kind::CodeRedeemed)
        .session(session.account_id, session.id, &session.client_id)
        .reason("retry")
        .record(txn, &shown.origin, now)
        .await?;
    let email = account.email_claims();
    let granted = Granted { scope: code.scope, ..Granted::of(session, email) };
    let nonce = code.nonce;
    let redeemed = Redeemed { granted, audience, nonce, person_claims, has_refresh };
    Ok(Some(Outcome::Redeemed(Box::new(redeemed))))
}
