//! What an operator does to other people's accounts, from the command line.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::account;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::session;
use crate::entity::account::{self as account_row, Column};
use crate::entity::consent;
use crate::entity::session::{self as session_row, EndReason};
use crate::timestamp::Timestamp;

/// How the audit log names whoever has the command line.
const OPERATOR: &str = "by the operator";

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Nobody has the address.
    #[error("there is no account with this address")]
    NoAccount,
    /// The database refused or failed.
    #[error("the database refused or failed: {0}")]
    Database(#[from] DbErr),
}

/// At most `count` accounts in the order of their ids, which is that of their making, behind `after`.
///
/// # Errors
/// If the database cannot be asked.
pub async fn list(
    db: &Db,
    after: Option<Uuid>,
    count: u64,
) -> Result<Vec<account_row::Model>, DbErr> {
    let mut page = account_row::Entity::find().order_by_asc(Column::Id).limit(count);
    if let Some(id) = after {
        page = page.filter(Column::Id.gt(id));
    }
    db.read(|db| async move { page.all(&db).await }).await
}

/// What is known of an account.
#[derive(Debug)]
pub struct Shown {
    /// The account.
    pub account: account_row::Model,
    /// Its live sessions, the oldest first.
    pub sessions: Vec<session_row::Model>,
    /// What its owner has allowed clients, by the client's id.
    pub consents: Vec<consent::Model>,
}

/// The account of `email`, with its live sessions and consents.
///
/// # Errors
/// [`OperatorError::NoAccount`], or the database's.
pub async fn show(db: &Db, email: &Email, now: Timestamp) -> Result<Shown, OperatorError> {
    let found = db.read(|db| async move {
        let account = account_row::Entity::find_by_address(email.address(), email.folded());
        let Some(account) = account.one(&db).await? else { return Ok(None) };
        let sessions = session_row::Entity::find()
            .filter(session_row::Column::AccountId.eq(account.id))
            .filter(session_row::Entity::live(now))
            .order_by_asc(session_row::Column::Id)
            .all(&db)
            .await?;
        let consents = consent::Entity::find()
            .filter(consent::Column::AccountId.eq(account.id))
            .order_by_asc(consent::Column::ClientId)
            .all(&db)
            .await?;
        Ok(Some(Shown { account, sessions, consents }))
    });
    found.await?.ok_or(OperatorError::NoAccount)
}

/// Switches an account off: nobody logs in to it or refreshes, and all its sessions end at once.
/// Returns how many ended. One that is off stays off.
///
/// # Errors
/// See [`OperatorError`]; nothing is changed then.
pub async fn disable(db: &Db, email: &Email) -> Result<usize, OperatorError> {
    let email = email.clone();
    db.urgent()
        .write(move |txn, now| {
            let email = email.clone();
            Box::pin(async move {
                let account = lock(txn, &email).await?;
                if account.is_enabled() {
                    set_disabled_at(txn, account.id, Some(now)).await?;
                    record(txn, Kind::AccountDisabled, account.id, now).await?;
                }
                let reason = EndReason::AccountDisabled;
                Ok(session::end_all(txn, account.id, None, reason, now).await?)
            })
        })
        .await
}

/// Switches an account on again: its owner can log in. No session comes back. One that is on stays
/// on.
///
/// # Errors
/// See [`OperatorError`]; nothing is changed then.
pub async fn enable(db: &Db, email: &Email) -> Result<(), OperatorError> {
    let email = email.clone();
    db.write(move |txn, now| {
        let email = email.clone();
        Box::pin(async move {
            let account = lock(txn, &email).await?;
            if !account.is_enabled() {
                set_disabled_at(txn, account.id, None).await?;
                record(txn, Kind::AccountEnabled, account.id, now).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Deletes an account; its sessions end first.
///
/// # Errors
/// See [`OperatorError`]; nothing is changed then.
pub async fn delete(db: &Db, email: &Email) -> Result<(), OperatorError> {
    let email = email.clone();
    db.urgent()
        .write(move |txn, now| {
            let email = email.clone();
            Box::pin(async move {
                let account = lock(txn, &email).await?;
                account::delete(txn, account.id, OPERATOR, &Origin::default(), now).await?;
                Ok::<_, OperatorError>(())
            })
        })
        .await?;
    db.truncate_log().await;
    Ok(())
}

/// Ends all sessions of an account, whose owner can log in again. Returns how many.
///
/// # Errors
/// See [`OperatorError`]; nothing has ended then.
pub async fn end_sessions(db: &Db, email: &Email) -> Result<usize, OperatorError> {
    let email = email.clone();
    db.urgent()
        .write(move |txn, now| {
            let email = email.clone();
            Box::pin(async move {
                let account = lock(txn, &email).await?;
                let ended =
                    session::end_all(txn, account.id, None, EndReason::Revoked, now).await?;
                if ended > 0 {
                    record(txn, Kind::SessionRevoked, account.id, now).await?;
                }
                Ok(ended)
            })
        })
        .await
}

/// Locked, so that a login under way is over or has not begun.
async fn lock(
    txn: &DatabaseTransaction,
    email: &Email,
) -> Result<account_row::Model, OperatorError> {
    let found = account_row::Entity::find_by_address(email.address(), email.folded());
    let found = found.lock_exclusive();
    found.one(txn).await?.ok_or(OperatorError::NoAccount)
}

async fn set_disabled_at(
    txn: &impl ConnectionTrait,
    id: Uuid,
    at: Option<Timestamp>,
) -> Result<(), DbErr> {
    account_row::Entity::update_many()
        .col_expr(Column::DisabledAt, Expr::value(at))
        .filter(Column::Id.eq(id))
        .exec(txn)
        .await?;
    Ok(())
}

async fn record(
    txn: &impl ConnectionTrait,
    kind: Kind,
    id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(kind).account(id).reason(OPERATOR).record(txn, &Origin::default(), now).await
}
