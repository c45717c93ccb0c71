//! What takes the password once more from somebody who is logged in: replacing it, and leaving.
//!
//! Both go the same way: the password is checked outside any transaction, since that takes its time;
//! then one transaction takes hold of the account, which must still be what was checked, and of the
//! session that asks, which must still be live.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::account;
use crate::domain::attempt::{self, AttemptKey};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::logins::Login;
use crate::domain::oauth::browser;
use crate::domain::password::{HashError, Hasher, Password, Verdict};
use crate::domain::session::{self, FIRST_PARTY_CLIENT};
use crate::entity::account::{self as account_row, Column};
use crate::entity::session::{self as session_row, EndReason};
use crate::timestamp::Timestamp;

/// Somebody who is logged in, and what they typed.
#[derive(Clone)]
pub struct Confirmation<'a> {
    /// The login that asks.
    pub login: Login,
    /// What is to be the account's password.
    pub password: Password,
    /// The account's attempt window, which a right password empties.
    pub account_window: AttemptKey,
    /// Where the wish came from.
    pub origin: &'a Origin,
}

/// What is to be the password from now on.
#[derive(Clone)]
pub struct Replacement {
    /// It has passed the policy.
    pub password: Password,
    /// The digest of a new cookie for the login that asks, if it is a browser's: the old one may be in
    /// other hands, too.
    pub cookie_digest: Option<Vec<u8>>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The login that asks has ended, or its account is disabled or gone.
    #[error("the session has ended")]
    NotLoggedIn,
    /// The password is not the account's.
    #[error("the password is not right")]
    Refused,
    /// The password was replaced while it was checked, perhaps only by a better hash of itself.
    #[error("the account has changed meanwhile")]
    Changed,
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// The database refused or failed.
    #[error("the change could not be stored")]
    Database(#[from] DbErr),
}

/// Replaces the password of whoever knows the current one, and ends all other sessions.
///
/// The session that asks goes on, with its refresh token: it is the one that knew the password. What
/// the old password opened elsewhere, or was about to, has ended once this returns, and reset tokens
/// are void (AT-10, PW-07).
///
/// # Errors
/// See [`ConfirmError`]; a wrong password is recorded as `login_failed`.
pub async fn change_password(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    replacement: Replacement,
    now: Timestamp,
) -> Result<(), ConfirmError> {
    let attempt = async || {
        let account = confirm(db, hasher, &confirmation, "password_change", now).await?;
        let hash = hasher.hash(replacement.password.clone()).await?;
        let (login, window) = (confirmation.login, confirmation.account_window.clone());
        let (origin, cookie) = (confirmation.origin.clone(), replacement.cookie_digest.clone());
        db.write(move |txn| {
            let (account, hash, cookie) = (account.clone(), hash.clone(), cookie.clone());
            let (window, origin) = (window.clone(), origin.clone());
            Box::pin(async move {
                hold(txn, &account, login, now).await?;
                replace(txn, login, hash, cookie, &origin, now).await?;
                Ok(attempt::forget(txn, window).await?)
            })
        })
        .await
    };
    match attempt().await {
        Err(ConfirmError::Changed) => attempt().await,
        result => result,
    }
}

/// Deletes the account of whoever knows its password, and ends all its sessions.
///
/// # Errors
/// See [`ConfirmError`]; a wrong password is recorded as `login_failed`.
pub async fn delete_account(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    now: Timestamp,
) -> Result<(), ConfirmError> {
    let attempt = async || {
        let account = confirm(db, hasher, &confirmation, "account_deletion", now).await?;
        let (login, window) = (confirmation.login, confirmation.account_window.clone());
        let origin = confirmation.origin.clone();
        db.write(move |txn| {
            let (account, window, origin) = (account.clone(), window.clone(), origin.clone());
            Box::pin(async move {
                hold(txn, &account, login, now).await?;
                account::delete(txn, account.id, "by its owner", &origin, now).await?;
                Ok(attempt::forget(txn, window).await?)
            })
        })
        .await
    };
    match attempt().await {
        Err(ConfirmError::Changed) => attempt().await,
        result => result,
    }
}

/// The account, if what was typed is its password; otherwise the failure is on record.
async fn confirm(
    db: &Db,
    hasher: &Hasher,
    confirmation: &Confirmation<'_>,
    purpose: &'static str,
    now: Timestamp,
) -> Result<account_row::Model, ConfirmError> {
    let Confirmation { login, password, origin, .. } = confirmation;
    let Login { account_id, session_id } = *login;
    let account = session::account_of_live(db, session_id, account_id, now).await?;
    let account = account.ok_or(ConfirmError::NotLoggedIn)?;
    let verdict = hasher.verify(password.clone(), account.password_hash.clone()).await?;
    if let Verdict::Match { .. } = verdict {
        return Ok(account);
    }
    let origin = (*origin).clone();
    db.write(move |txn| {
        let origin = origin.clone();
        Box::pin(async move {
            Event::new(Kind::LogInFailed)
                .account(account_id)
                .session(session_id, FIRST_PARTY_CLIENT)
                .reason(format!("wrong_password_for_{purpose}"))
                .record(txn, &origin, now)
                .await
        })
    })
    .await?;
    Err(ConfirmError::Refused)
}

/// Locks the account and then the session, so that both stay what they are until the commit: a login
/// under way on the same password waits, or is waited for.
async fn hold(
    txn: &impl ConnectionTrait,
    account: &account_row::Model,
    login: Login,
    now: Timestamp,
) -> Result<(), ConfirmError> {
    let unchanged = account_row::Entity::find_by_id(account.id)
        .select_only()
        .column(Column::Id)
        .filter(Column::DisabledAt.is_null())
        .filter(Column::PasswordHash.eq(account.password_hash.clone()))
        .lock_exclusive()
        .into_tuple::<Uuid>()
        .one(txn)
        .await?;
    unchanged.ok_or(ConfirmError::Changed)?;
    let live = session_row::Entity::find_by_id(login.session_id)
        .filter(session_row::Entity::live(now))
        .lock_exclusive()
        .one(txn)
        .await?;
    live.map(|_| ()).ok_or(ConfirmError::NotLoggedIn)
}

async fn replace(
    txn: &impl ConnectionTrait,
    login: Login,
    hash: String,
    cookie: Option<Vec<u8>>,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let Login { account_id, session_id } = login;
    account_row::Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(hash))
        .filter(Column::Id.eq(account_id))
        .exec(txn)
        .await?;
    if let Some(cookie) = cookie {
        browser::renew_cookie(txn, session_id, cookie).await?;
    }
    let reason = EndReason::PasswordChanged;
    session::end_all(txn, account_id, Some(session_id), reason, now).await?;
    Event::new(Kind::PasswordChanged)
        .account(account_id)
        .session(session_id, FIRST_PARTY_CLIENT)
        .record(txn, origin, now)
        .await
}
