//! Ends sessions before they expire. Only this file and the kill switch do so. Also marks the
//! entries of the sessions in the status lists, and notifies clients.

use sea_orm::sea_query::{Expr, IntoCondition, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::granted::StatusEntry;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::domain::session::logout_outbox::notify_clients;
use crate::domain::status;
use crate::entity::account;
use crate::entity::session::{self, EndReason};
use crate::timestamp::Timestamp;

/// Maximum number of live sessions per account, excluding browser sessions.
const MAX_CLIENT_SESSIONS: u64 = 500;

/// Maximum number of live browser sessions per account.
const MAX_BROWSER_SESSIONS: u64 = 100;

/// Number of sessions that one statement ends. It is within the parameter limits of both databases,
/// and small enough for a fast statement.
pub(super) const SESSIONS_PER_STATEMENT: usize = 500;

/// Ends a session at the request of its owner. Returns false if the session was not live.
///
/// # Errors
/// If the database refuses.
pub async fn log_out(
    db: &Db,
    session_id: Uuid,
    account_id: Uuid,
    origin: &Origin,
) -> Result<bool, DbErr> {
    let origin = origin.clone();
    db.urgent()
        .write(origin, move |txn, now, origin| {
            Box::pin(async move {
                let ended = end(txn, session_id, EndReason::Logout, now).await?;
                if ended {
                    Event::new(Kind::LogOut)
                        .session(account_id, session_id, FIRST_PARTY_CLIENT)
                        .record(txn, origin, now)
                        .await?;
                }
                Ok(ended)
            })
        })
        .await
}

/// Ends a live session within the caller's transaction. Returns false if the session was not live.
///
/// # Errors
/// If the database refuses.
pub async fn end(
    txn: &impl ConnectionTrait,
    session_id: Uuid,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool, DbErr> {
    end_where(txn, session::Column::Id.eq(session_id), reason, now).await.map(|ended| ended == 1)
}

/// Ends all live sessions of an account with one client, within the caller's transaction. Returns
/// the number of ended sessions.
///
/// # Errors
/// If the database refuses.
pub async fn end_of_client(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    client_id: &str,
    reason: EndReason,
    now: Timestamp,
) -> Result<usize, DbErr> {
    lock_account(txn, account_id).await?;
    let which = Condition::all()
        .add(session::Column::AccountId.eq(account_id))
        .add(session::Column::ClientId.eq(client_id));
    end_where(txn, which, reason, now).await
}

/// Ends up to `limit` live sessions of a client, in the order of account IDs, starting at `from`.
/// The caller's transaction must have locked the client's row. If more sessions may be left,
/// returns the account to continue from.
///
/// Skips sessions that other transactions have locked. So it never waits while it has locked
/// sessions, needs no lock on the accounts, and cannot cause a deadlock.
///
/// # Errors
/// If the database refuses.
pub async fn end_portion_of_client(
    txn: &impl ConnectionTrait,
    client_id: &str,
    from: Uuid,
    limit: u64,
    reason: EndReason,
    now: Timestamp,
) -> Result<Option<Uuid>, DbErr> {
    use session::Column::{AccountId, Id};

    let portion = session::Entity::find()
        .select_only()
        .columns([Id, AccountId])
        .filter(session::Entity::live_of_client(client_id, now))
        .filter(AccountId.gte(from))
        .order_by_asc(AccountId)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let portion: Vec<(Uuid, Uuid)> = portion.into_tuple().all(txn).await?;
    let ids: Vec<_> = portion.iter().map(|(id, _)| *id).collect();
    end_each(txn, &ids, reason, now).await?;
    let is_full = u64::try_from(portion.len()).is_ok_and(|number| number >= limit);
    Ok(portion.last().map(|(_, account_id)| *account_id).filter(|_| is_full))
}

/// Ends these sessions within the caller's transaction. Returns how many of them were live.
///
/// # Errors
/// If the database refuses.
pub async fn end_each(
    txn: &impl ConnectionTrait,
    ids: &[Uuid],
    reason: EndReason,
    now: Timestamp,
) -> Result<usize, DbErr> {
    let mut ended = 0;
    for ids in ids.chunks(SESSIONS_PER_STATEMENT) {
        let which = session::Column::Id.is_in(ids.iter().copied());
        ended += end_where(txn, which, reason, now).await?;
    }
    Ok(ended)
}

/// Makes room for one more session of an account with a client, the first-party client included.
/// The account must be locked. If it has five hundred live sessions, browser sessions excluded,
/// ends the oldest: first sessions of the same client, then sessions of other clients. Ending
/// thousands of sessions could exceed the timeout of a request, so one call ends at most one
/// portion. Browser sessions have a separate limit ([`limit_browser_sessions`]).
///
/// # Errors
/// If the database refuses.
pub async fn limit_client_sessions(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    client_id: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    use session::Column::{ClientId, CookieDigest, Id};

    let live = session::Entity::find()
        .filter(CookieDigest.is_null())
        .filter(session::Entity::live_of(account_id, now));
    let number = live.clone().count(txn).await?;
    if number < MAX_CLIENT_SESSIONS {
        return Ok(());
    }
    let surplus = live
        .select_only()
        .column(Id)
        .order_by_desc(ClientId.eq(client_id))
        .order_by_asc(Id)
        .limit((number - MAX_CLIENT_SESSIONS + 1).min(SESSIONS_PER_STATEMENT as u64));
    let surplus: Vec<Uuid> = surplus.into_tuple().all(txn).await?;
    end_each(txn, &surplus, EndReason::Replaced, now).await.map(drop)
}

/// Makes room for one more browser session of an account. The account must be locked. If it has one
/// hundred browser sessions, ends the oldest of them. Client sessions that were opened through the
/// ended sessions continue.
///
/// # Errors
/// If the database refuses.
pub async fn limit_browser_sessions(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    use session::Column::{CookieDigest, Id};

    let surplus = session::Entity::find()
        .select_only()
        .column(Id)
        .filter(CookieDigest.is_not_null())
        .filter(session::Entity::live_of(account_id, now))
        .order_by_desc(Id)
        .offset(MAX_BROWSER_SESSIONS - 1)
        .limit(SESSIONS_PER_STATEMENT as u64);
    let surplus: Vec<Uuid> = surplus.into_tuple().all(txn).await?;
    end_each(txn, &surplus, EndReason::Replaced, now).await.map(drop)
}

/// Ends the client sessions that were opened through a browser session. Must run in the transaction
/// that ends the browser session. Client sessions with `offline_access` continue, but their clients
/// are notified nevertheless.
///
/// # Errors
/// If the database refuses.
pub async fn end_opened(
    txn: &impl ConnectionTrait,
    browser_id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    let opened = session::Entity::find()
        .filter(session::Column::BrowserSessionId.eq(browser_id))
        .filter(session::Entity::live(now))
        .all(txn)
        .await?;
    let is_offline = |session: &session::Model| session.scope.has("offline_access");
    let (offline, ended): (Vec<_>, Vec<_>) = opened.into_iter().partition(is_offline);
    for sessions in offline.chunks(500) {
        notify_clients(txn, sessions, now).await?;
    }
    let ended: Vec<_> = ended.iter().map(|it| it.id).collect();
    end_each(txn, &ended, EndReason::Logout, now).await.map(drop)
}

/// Locks the account until the commit. A transaction that ends more than one session, or starts a
/// session for a client, locks the account before any session, and after the client. This order
/// prevents deadlocks. The lock also prevents that a session starts while the others are ended.
///
/// A shared lock would suffice for starting sessions. But new shared requests overtake a waiting
/// exclusive request, and would starve it.
///
/// # Errors
/// If the database refuses.
pub async fn lock_account(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Option<account::Model>, DbErr> {
    account::Entity::find_by_id(account_id).lock_exclusive().one(txn).await
}

/// Ends live sessions, marks their status list entries and notifies clients.
async fn end_where(
    txn: &impl ConnectionTrait,
    which: impl IntoCondition,
    reason: EndReason,
    now: Timestamp,
) -> Result<usize, DbErr> {
    let which = which.into_condition().add(session::Entity::live(now));
    end_rows(txn, which, reason, now, now).await
}

/// Marks session rows as ended. No other function does so. Also marks the status list entries of
/// the sessions as invalid, and queues logout notices. `ended_at` is when the sessions ended, which
/// is earlier than `now` after a kill switch.
pub(super) async fn end_rows(
    txn: &impl ConnectionTrait,
    which: Condition,
    reason: EndReason,
    ended_at: Timestamp,
    now: Timestamp,
) -> Result<usize, DbErr> {
    let ended = session::Entity::update_many()
        .col_expr(session::Column::EndedAt, Expr::value(ended_at))
        .col_expr(session::Column::EndReason, Expr::value(reason))
        .filter(which)
        .exec_with_returning(txn)
        .await?;
    status::mark_invalid(txn, ended.iter().filter_map(StatusEntry::of), now).await?;
    notify_clients(txn, &ended, now).await?;
    Ok(ended.len())
}
