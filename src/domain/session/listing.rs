//! Lists and revokes the sessions of an account, at the request of its owner.

use sea_orm::sea_query::{ExprTrait, Order};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::session::{self, KillSwitch};
use crate::entity::account;
use crate::entity::session::{self as session_row, Column, EndReason};
use crate::timestamp::Timestamp;

/// The row of a session. `http` and `cli` use this name, because they may not import entities.
pub type Row = session_row::Model;

/// Maximum number of sessions in a list. An account to which a program logs in has hundreds.
const MAX_LISTED: u64 = 100;

/// The session of a request, and its account. The functions that get this value check in the
/// database whether the session is still live.
#[derive(Debug, Clone, Copy)]
pub struct Login {
    /// The account.
    pub account_id: Uuid,
    /// The session of the account.
    pub session_id: Uuid,
}

/// Why data of an account could not be read or changed at the request of one of its sessions.
#[derive(Debug, thiserror::Error)]
pub enum SelfServiceError {
    /// The session of the request has ended, or its account is disabled.
    #[error("the session has ended")]
    NotLoggedIn,
    /// The session to end is not live, or it belongs to another account. Both causes share one
    /// variant, so that callers learn nothing about the sessions of other accounts.
    ///
    /// For a consent: there is no such consent, or the client is registered with
    /// `consent = "skip"` and needs none.
    #[error("there is no such session or consent")]
    NotFound,
    /// The database refused or failed.
    #[error("the data of the account could not be read or changed")]
    Database(#[from] DbErr),
}

/// Lists at most a hundred live sessions of the account. The session of the request is the first.
/// The other sessions follow, the newest first.
///
/// # Errors
/// [`SelfServiceError::NotLoggedIn`], or a database error.
pub async fn list(
    db: &Db,
    login: Login,
    now: Timestamp,
) -> Result<Vec<session_row::Model>, SelfServiceError> {
    let live = session_row::Entity::find()
        .join(JoinType::InnerJoin, session_row::Relation::Account.def())
        .filter(account::Column::DisabledAt.is_null())
        .filter(session_row::Entity::live_of(login.account_id, now))
        .order_by(Column::Id.into_expr().eq(login.session_id), Order::Desc)
        .order_by_desc(Column::Id)
        .limit(MAX_LISTED);
    let sessions = db.read(|db| async move { live.all(&db).await }).await?;
    match sessions.first() {
        Some(first) if first.id == login.session_id => Ok(sessions),
        _ => Err(SelfServiceError::NotLoggedIn),
    }
}

/// Ends one session of the account, possibly the session of the request.
///
/// # Errors
/// See [`SelfServiceError`]. After an error, no session has ended.
pub async fn end_one(
    db: &Db,
    login: Login,
    session_id: Uuid,
    origin: &Origin,
) -> Result<(), SelfServiceError> {
    let origin = origin.clone();
    db.urgent()
        .write(origin, move |txn, now, origin| {
            Box::pin(async move {
                lock_own_session(txn, login, now).await?.ok_or(SelfServiceError::NotLoggedIn)?;
                let session = session_row::Entity::find_by_id(session_id)
                    .filter(Column::AccountId.eq(login.account_id))
                    .one(txn)
                    .await?
                    .ok_or(SelfServiceError::NotFound)?;
                if !session::end(txn, session_id, EndReason::Revoked, now).await? {
                    return Err(SelfServiceError::NotFound);
                }
                Event::new(Kind::SessionRevoked)
                    .session(login.account_id, session_id, &session.client_id)
                    .reason(format!("by session {}", login.session_id))
                    .record(txn, origin, now)
                    .await?;
                // If the session is a browser session, this ends the client sessions that were
                // opened through it.
                Ok(session::end_opened(txn, session_id, now).await?)
            })
        })
        .await
}

/// Ends all sessions of the account except the session of the request. Succeeds even if the account
/// has no other sessions.
///
/// # Errors
/// [`SelfServiceError::NotLoggedIn`], or a database error. After an error, no session has ended.
pub async fn end_others(db: &Db, login: Login, origin: &Origin) -> Result<(), SelfServiceError> {
    let origin = origin.clone();
    db.urgent()
        .write(origin, move |txn, now, origin| {
            Box::pin(async move {
                let Login { account_id, session_id } = login;
                let switch = KillSwitch::lock(txn, account_id).await?;
                lock_own_session(txn, login, now).await?.ok_or(SelfServiceError::NotLoggedIn)?;
                let reason = EndReason::Revoked;
                if switch.end_all(txn, Some(session_id), reason, now).await?.has_ended_any {
                    Event::new(Kind::SessionRevoked)
                        .account(account_id)
                        .reason(format!("all but session {session_id}, by that"))
                        .record(txn, origin, now)
                        .await?;
                }
                Ok(())
            })
        })
        .await
}

/// Locks the account and then the session of the request, so that the session stays live until the
/// commit. Returns the account, or `None` if the session has ended or the account is disabled. The
/// account is locked first to prevent deadlocks between transactions that end several sessions.
pub(in crate::domain) async fn lock_own_session(
    txn: &impl ConnectionTrait,
    login: Login,
    now: Timestamp,
) -> Result<Option<account::Model>, DbErr> {
    let account = session::lock_account(txn, login.account_id).await?;
    let Some(account) = account.filter(account::Model::is_enabled) else { return Ok(None) };
    let session = session_row::Entity::find_by_id(login.session_id)
        .filter(Column::AccountId.eq(login.account_id))
        .filter(session_row::Entity::live(now))
        .lock_exclusive()
        .one(txn)
        .await?;
    Ok(session.map(|_| account))
}
