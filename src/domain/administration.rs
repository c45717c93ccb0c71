//! Administration of accounts from the command line.
//!
//! Sessions are ended by the kill switch of their account, which ends all of them in constant time.
//! After that, the rows of the sessions are marked and clients are notified, in portions.

use sea_orm::sea_query::{Expr, ExprTrait, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::database::{Db, SchemaError, has_table};
use crate::domain::account;
use crate::domain::attempt_limit::AttemptKey;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::session::{self, KillSwitch};
use crate::entity::account::{self as account_row, Column};
use crate::entity::email_challenge::{self, Purpose};
use crate::entity::session::{self as session_row, EndReason};
use crate::entity::{auth_event, consent};
use crate::timestamp::Timestamp;

/// How the audit log names the operator.
const OPERATOR: &str = "by the operator";

/// The number of accounts whose sessions are ended in one transaction.
const ACCOUNTS_PER_TRANSACTION: usize = 50;

/// The number of accounts that are read in one query to find reset tokens.
const ACCOUNTS_PER_READ: u64 = 500;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No account has the address or the id.
    #[error("there is no account with this address or id")]
    NoAccount,
    /// Another account has the new address.
    #[error("another account has this address, perhaps in another spelling")]
    EmailExists,
    /// The account already has the new address.
    #[error(
        "the account already has this address (`signet account verify-email` marks it verified)"
    )]
    SameAddress,
    /// The address of the account is ambiguous, so it cannot be marked as verified.
    #[error(
        "two accounts have equivalent addresses, so neither can be verified: change one of them \
         (`signet account set-email`)"
    )]
    Ambiguous,
    /// New accounts cannot have this address.
    #[error("accounts cannot have this address")]
    UnusableAddress,
    /// The database refused or failed.
    #[error("the database refused or failed: {0}")]
    Database(#[from] DbErr),
}

/// The first `count` accounts after the ID `after`, in the order of IDs. This is the order of
/// creation, except for imported accounts that have kept their ID.
///
/// # Errors
/// If the database refuses.
pub async fn list(
    db: &Db,
    after: Option<Uuid>,
    count: u64,
) -> Result<Vec<account_row::Model>, DbErr> {
    let page = account_row::Entity::find()
        .filter(Column::DeletedAt.is_null())
        .apply_if(after, |page, id| page.filter(Column::Id.gt(id)))
        .order_by_asc(Column::Id)
        .limit(count);
    db.read(|db| async move { page.all(&db).await }).await
}

/// Whether there are accounts in a schema of any version, deleted ones included.
///
/// # Errors
/// If the database refuses.
pub async fn has_accounts(db: &Db) -> Result<bool, SchemaError> {
    if !has_table(db, "account").await? {
        return Ok(false);
    }
    // Ordered, so that PostgreSQL reads the index.
    let first = account_row::Entity::find().select_only().column(Column::Id);
    let first = first.order_by_asc(Column::Id).limit(1);
    let first = first.into_tuple::<Uuid>();
    let first = db.read(|db| async move { first.one(&db).await }).await;
    Ok(first.map_err(SchemaError::Database)?.is_some())
}

/// An account with its sessions and consents.
#[derive(Debug)]
pub struct AccountView {
    /// The account.
    pub account: account_row::Model,
    /// Its live sessions, oldest first.
    pub sessions: Vec<session_row::Model>,
    /// Its consents, by client ID.
    pub consents: Vec<consent::Model>,
}

/// The account of `email`, with its live sessions and consents.
///
/// # Errors
/// [`OperatorError::NoAccount`], or a database error.
pub async fn show(db: &Db, email: &Email, now: Timestamp) -> Result<AccountView, OperatorError> {
    let found = db.read(|db| async move {
        let account = account_row::Entity::find_by_address(email.address(), email.folded());
        let Some(account) = account.one(&db).await? else { return Ok(None) };
        let sessions = session_row::Entity::find()
            .filter(session_row::Entity::live_of(account.id, now))
            .order_by_asc(session_row::Column::Id)
            .all(&db)
            .await?;
        let consents = consent::Entity::find()
            .filter(consent::Column::AccountId.eq(account.id))
            .order_by_asc(consent::Column::ClientId)
            .all(&db)
            .await?;
        Ok(Some(AccountView { account, sessions, consents }))
    });
    found.await?.ok_or(OperatorError::NoAccount)
}

/// The email address of the account with this ID.
///
/// # Errors
/// [`OperatorError::NoAccount`], or a database error.
pub async fn address_of(db: &Db, id: Uuid) -> Result<String, OperatorError> {
    let found = account_row::Entity::find_by_id(id).filter(Column::DeletedAt.is_null());
    let found = db.read(|db| async move { found.one(&db).await }).await?;
    found.map(|account| account.email_canonical).ok_or(OperatorError::NoAccount)
}

/// The events that have the keyed digest of an email address, whether or not it has an account:
/// failed attempts, and requests of mails. At most `count` events, newest first. `account` is the
/// attempt key of the address.
///
/// # Errors
/// If the database refuses.
pub async fn events_of_address(
    db: &Db,
    account: &AttemptKey,
    count: u64,
) -> Result<Vec<auth_event::Model>, DbErr> {
    let events = auth_event::Entity::find()
        .filter(auth_event::Column::EmailDigest.eq(account.digest()))
        .order_by_desc(auth_event::Column::Id)
        .limit(count);
    db.read(|db| async move { events.all(&db).await }).await
}

/// Disables an account: refuses logins and refreshes, and ends all sessions. Returns the number of
/// sessions that ended. Does not change an account that is already disabled.
///
/// # Errors
/// See [`OperatorError`]. If the account was disabled before the error, it stays disabled.
pub async fn disable(db: &Db, id: Uuid) -> Result<u64, OperatorError> {
    let urgent = db.urgent();
    let ended_at = urgent.write((), move |txn, now, ()| {
        Box::pin(async move {
            let (switch, account) = lock(txn, id).await?;
            if account.is_enabled() {
                set_disabled_at(txn, account.id, Some(now)).await?;
                record(txn, Kind::AccountDisabled, account.id, now).await?;
            }
            switch.end_all(txn, None, EndReason::AccountDisabled, now).await?;
            Ok::<_, OperatorError>(now)
        })
    });
    complete_end_of_sessions(db, id, ended_at.await?).await
}

/// Enables an account, so that its owner can log in again. Sessions that have ended stay ended.
/// Does not change an account that is already enabled.
///
/// # Errors
/// See [`OperatorError`]; then nothing is changed.
pub async fn enable(db: &Db, id: Uuid) -> Result<(), OperatorError> {
    db.urgent()
        .write((), move |txn, now, ()| {
            Box::pin(async move {
                let (_, account) = lock(txn, id).await?;
                if !account.is_enabled() {
                    set_disabled_at(txn, account.id, None).await?;
                    record(txn, Kind::AccountEnabled, account.id, now).await?;
                }
                Ok(())
            })
        })
        .await
}

/// Ends all sessions of an account, and deletes it.
///
/// # Errors
/// See [`OperatorError`]. If the account was deleted before the error, it stays deleted.
pub async fn delete(db: &Db, id: Uuid) -> Result<(), OperatorError> {
    let urgent = db.urgent();
    let ended_at = urgent.write((), move |txn, now, ()| {
        Box::pin(async move {
            let (switch, account) = lock(txn, id).await?;
            let origin = Origin::default();
            account::delete(txn, switch, &account, OPERATOR, &origin, now).await?;
            Ok::<_, OperatorError>(now)
        })
    });
    complete_end_of_sessions(db, id, ended_at.await?).await.map(drop)
}

/// Ends all sessions of an account, and returns their number. The owner can log in again.
///
/// # Errors
/// See [`OperatorError`]. Sessions that ended before the error stay ended.
pub async fn end_sessions(db: &Db, id: Uuid) -> Result<u64, OperatorError> {
    let ended_at = end_sessions_of(db, vec![id]).await?;
    complete_end_of_sessions(db, id, ended_at).await
}

/// Ends all sessions of all accounts, and returns their number. Voids the reset tokens and the
/// mailed links of all accounts, also of those without sessions.
///
/// # Errors
/// See [`OperatorError`]. Sessions that ended before the error stay ended.
pub async fn end_all_sessions(db: &Db) -> Result<u64, OperatorError> {
    let mut ended = 0;
    for access in [Access::Session, Access::MailedLink] {
        let mut after = None;
        loop {
            let page = accounts_with(db, access, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            ended += end_and_complete(db, page).await?;
        }
    }
    Ok(ended + end_sessions_of_accounts_with_reset_token(db).await?)
}

/// Ends all sessions of the accounts that have a reset token, and returns the number of sessions.
/// There is no index of reset tokens, because only this command needs one: all accounts are read in
/// the order of IDs.
async fn end_sessions_of_accounts_with_reset_token(db: &Db) -> Result<u64, OperatorError> {
    let (mut after, mut ended) = (None, 0);
    loop {
        let page = list(db, after, ACCOUNTS_PER_READ).await?;
        let Some(last) = page.last() else { return Ok(ended) };
        after = Some(last.id);
        let now = db.clock().now();
        let has_token = |it: &&account_row::Model| it.reset_expires_at.is_some_and(|at| at > now);
        let ids = page.iter().filter(has_token).map(|account| account.id).collect();
        ended += end_and_complete(db, ids).await?;
    }
}

/// Ends all sessions of these accounts, and returns their number.
async fn end_and_complete(db: &Db, ids: Vec<Uuid>) -> Result<u64, OperatorError> {
    let mut ended = 0;
    for ids in ids.chunks(ACCOUNTS_PER_TRANSACTION) {
        let ended_at = end_sessions_of(db, ids.to_vec()).await?;
        for id in ids {
            ended += complete_end_of_sessions(db, *id, ended_at).await?;
        }
    }
    Ok(ended)
}

/// Uses the kill switches of all accounts, but does not wait for the remaining work: instances
/// update rows and status lists, and notify clients. Returns the number of accounts.
///
/// # Errors
/// See [`OperatorError`]. Sessions that ended before the error stay ended.
pub async fn switch_all_sessions_off(db: &Db) -> Result<usize, OperatorError> {
    let (mut after, mut accounts) = (None, 0);
    loop {
        let page = accounts_with(db, Access::Session, after).await?;
        let Some(last) = page.last() else { return Ok(accounts) };
        (after, accounts) = (Some(*last), accounts + page.len());
        end_sessions_of(db, page).await?;
    }
}

/// What gives access to an account, and is ended by its kill switch.
#[derive(Debug, Clone, Copy)]
enum Access {
    Session,
    /// A link that confirms a new address, for example.
    MailedLink,
}

/// The IDs of the first accounts after the ID `after` that have this access, in the order of IDs.
/// Some of them may be IDs that no account has.
async fn accounts_with(db: &Db, access: Access, after: Option<Uuid>) -> Result<Vec<Uuid>, DbErr> {
    let now = db.clock().now();
    let page = match access {
        Access::Session => account_row::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::DeletedAt.is_null())
            .filter(Expr::exists(live_sessions(now)))
            .apply_if(after, |accounts, id| accounts.filter(Column::Id.gt(id)))
            .order_by_asc(Column::Id)
            .limit(ACCOUNTS_PER_TRANSACTION as u64)
            .into_tuple(),
        Access::MailedLink => email_challenge::Entity::find()
            .select_only()
            .column(email_challenge::Column::AccountId)
            .distinct()
            .filter(email_challenge::Column::Purpose.ne(Purpose::SignUp))
            .apply_if(after, |links, id| links.filter(email_challenge::Column::AccountId.gt(id)))
            .order_by_asc(email_challenge::Column::AccountId)
            .limit(ACCOUNTS_PER_TRANSACTION as u64)
            .into_tuple(),
    };
    db.read(|db| async move { page.all(&db).await }).await
}

/// The live sessions of the account of the enclosing query.
fn live_sessions(now: Timestamp) -> SelectStatement {
    session_row::Entity::find()
        .select_only()
        .column(session_row::Column::Id)
        .filter(session_row::Column::AccountId.into_expr().equals(Column::Id.as_column_ref()))
        .filter(session_row::Entity::live_by_row(now))
        .into_query()
}

/// Ends all sessions of these accounts, and returns the time at which they ended. Skips accounts
/// that have been deleted meanwhile.
async fn end_sessions_of(db: &Db, ids: Vec<Uuid>) -> Result<Timestamp, OperatorError> {
    db.urgent()
        .write(ids, move |txn, now, ids| {
            Box::pin(async move {
                for id in ids {
                    end_sessions_in_transaction(txn, *id, now).await?;
                }
                Ok(now)
            })
        })
        .await
}

async fn end_sessions_in_transaction(
    txn: &DatabaseTransaction,
    id: Uuid,
    now: Timestamp,
) -> Result<(), OperatorError> {
    let switch = match lock(txn, id).await {
        Ok((switch, _)) => switch,
        Err(OperatorError::NoAccount) => return Ok(()),
        Err(error) => return Err(error),
    };
    if switch.end_all(txn, None, EndReason::Revoked, now).await?.has_ended_any {
        record(txn, Kind::SessionRevoked, id, now).await?;
    }
    Ok(())
}

/// Completes the work that remains after the use of a kill switch at `ended_at`. Returns the number
/// of sessions that the kill switch ended.
pub(super) async fn complete_end_of_sessions(
    db: &Db,
    id: Uuid,
    ended_at: Timestamp,
) -> Result<u64, OperatorError> {
    session::end_rest(db, id).await?;
    let ended = session_row::Entity::find()
        .filter(session_row::Column::AccountId.eq(id))
        .filter(session_row::Column::EndedAt.eq(ended_at));
    Ok(db.read(|db| async move { ended.count(&db).await }).await?)
}

/// The ID of the account with an email address.
///
/// # Errors
/// [`OperatorError::NoAccount`], or a database error.
pub async fn find(db: &Db, email: &Email) -> Result<Uuid, OperatorError> {
    let found = session::find_account(db, email).await?;
    found.map(|account| account.id).ok_or(OperatorError::NoAccount)
}

/// Locks the account, so that no login or refresh of this account runs concurrently.
pub(super) async fn lock(
    txn: &DatabaseTransaction,
    id: Uuid,
) -> Result<(KillSwitch, account_row::Model), OperatorError> {
    let switch = KillSwitch::lock(txn, id).await?;
    let account = session::lock_account(txn, id).await?;
    let account = account.filter(|account| account.deleted_at.is_none());
    account.map(|account| (switch, account)).ok_or(OperatorError::NoAccount)
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

pub(super) async fn record(
    txn: &impl ConnectionTrait,
    kind: Kind,
    id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(kind).account(id).reason(OPERATOR).record(txn, &Origin::default(), now).await
}
