//! How sessions end before their time: in one place, which tells verifiers and clients.

use sea_orm::sea_query::{Expr, IntoCondition, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::granted::StatusEntry;
use crate::domain::scope::Scope;
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::domain::session::logout_outbox::notify_clients;
use crate::domain::status;
use crate::entity::account;
use crate::entity::session::{self, EndReason};
use crate::timestamp::Timestamp;

/// Most live sessions of an account, apart from logins of browsers.
const MOST: u64 = 500;

/// Most live logins of an account on the hosted pages.
const MOST_BROWSERS: u64 = 100;

/// Sessions in one statement: below what either database takes in parameters, and in time.
pub(super) const AT_ONCE: usize = 500;

/// Ends a session at its owner's wish. `false` if it was not live.
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
                        .account(account_id)
                        .session(session_id, FIRST_PARTY_CLIENT)
                        .record(txn, origin, now)
                        .await?;
                }
                Ok(ended)
            })
        })
        .await
}

/// Ends a live session, as part of the transaction that says why. `false` if it was not live.
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

/// Ends all live sessions of an account that a client holds, as part of the transaction that says
/// why. Says how many.
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
    hold_account(txn, account_id).await?;
    let which = Condition::all()
        .add(session::Column::AccountId.eq(account_id))
        .add(session::Column::ClientId.eq(client_id));
    end_where(txn, which, reason, now).await
}

/// Ends up to `limit` live sessions that a client holds, of the account `from` and those behind it,
/// as part of a transaction that has locked the client's row. Returns the account to go on from, if
/// more may be left.
///
/// Sessions that somebody else has locked are left out. So this never waits while it holds
/// sessions, needs no lock on their accounts, and cannot be part of a deadlock.
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

/// Ends these sessions, as part of the transaction that says why. Says how many were live.
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
    for ids in ids.chunks(AT_ONCE) {
        let which = session::Column::Id.is_in(ids.iter().copied());
        ended += end_where(txn, which, reason, now).await?;
    }
    Ok(ended)
}

/// Makes room for one more session that a client is to hold, in an account that is held: of more than
/// five hundred, the oldest of this very client end, and then those of others. Whoever had thousands
/// could not end them all in the time that a request has, so of very many, too, only a portion ends
/// now. Logins of browsers have a limit of their own ([`make_room_for_browser`]).
///
/// # Errors
/// If the database refuses.
pub async fn make_room(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    client_id: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    use session::Column::{ClientId, CookieDigest, Id};

    let held = session::Entity::find()
        .filter(CookieDigest.is_null())
        .filter(session::Entity::live_of(account_id, now));
    let number = held.clone().count(txn).await?;
    if number < MOST {
        return Ok(());
    }
    let surplus = held
        .select_only()
        .column(Id)
        .order_by_desc(ClientId.eq(client_id))
        .order_by_asc(Id)
        .limit((number - MOST + 1).min(AT_ONCE as u64));
    let surplus: Vec<Uuid> = surplus.into_tuple().all(txn).await?;
    end_each(txn, &surplus, EndReason::Replaced, now).await.map(drop)
}

/// Makes room for one more login on the hosted pages, in an account that is held: of a hundred, the
/// oldest end. What was opened in them goes on.
///
/// # Errors
/// If the database refuses.
pub async fn make_room_for_browser(
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
        .offset(MOST_BROWSERS - 1)
        .limit(AT_ONCE as u64);
    let surplus: Vec<Uuid> = surplus.into_tuple().all(txn).await?;
    end_each(txn, &surplus, EndReason::Replaced, now).await.map(drop)
}

/// Ends what was opened in a browser's login that has ended, as part of the same transaction.
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
    let is_offline = |session: &session::Model| {
        Scope::parse(&session.scope).is_some_and(|scope| scope.has("offline_access"))
    };
    let (kept, ended): (Vec<_>, Vec<_>) = opened.into_iter().partition(is_offline);
    for kept in kept.chunks(500) {
        notify_clients(txn, kept, now).await?;
    }
    let ended: Vec<_> = ended.iter().map(|it| it.id).collect();
    end_each(txn, &ended, EndReason::Logout, now).await.map(drop)
}

/// The account, which nobody else holds until the commit. Whoever ends more than one session, or begins
/// something for a client, holds the account first (after the client): then no two wait for each
/// other, and nothing begins unseen.
///
/// A lock that is shared would do for those who begin. But they let each other in, so that whoever waits
/// to end it all could wait for as long as they keep coming.
///
/// # Errors
/// If the database refuses.
pub async fn hold_account(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Option<account::Model>, DbErr> {
    account::Entity::find_by_id(account_id).lock_exclusive().one(txn).await
}

/// Ends live sessions, and tells verifiers and clients.
async fn end_where(
    txn: &impl ConnectionTrait,
    which: impl IntoCondition,
    reason: EndReason,
    now: Timestamp,
) -> Result<usize, DbErr> {
    let which = which.into_condition().add(session::Entity::live(now));
    end_rows(txn, which, reason, now, now).await
}

/// The only place where a session's row comes to say that it has ended: it also tells the verifiers, and
/// the clients that want to know. `ended_at` is when that was decided.
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
