//! Logins on the hosted pages: a session like any other, that a cookie stands for.
//!
//! One that is not used ends before its time (`idle_expires_at`). What clients got in it goes on, as
//! its person may be working there all the while, and is still ended by a logout, and by the next login
//! of somebody else in the browser: the cookie goes on saying which browser it was.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::logout;
use crate::domain::oauth::opaque::digest;
use crate::domain::session::{self, KillSwitch};
use crate::entity::session::{Column, EndReason, Entity, Model};
use crate::entity::{account, pending_authorization};
use crate::timestamp::Timestamp;

/// How far `idle_expires_at` may be behind the last use: it is not written at each.
const LAG: Duration = Duration::from_mins(5);

/// Who is logged in to a browser.
#[derive(Debug, Clone)]
pub struct Browser {
    /// The login.
    pub session: Model,
    /// Whose.
    pub account: account::Model,
}

/// The live login that a cookie stands for, which is used at this moment: it lasts for `idle_life` from
/// now on, and never longer than its session.
///
/// # Errors
/// If the database refuses.
pub async fn come(
    db: &Db,
    cookie: &str,
    idle_life: Duration,
    now: Timestamp,
) -> Result<Option<Browser>, DbErr> {
    let Some(browser) = find(db, cookie, Entity::live(now)).await? else { return Ok(None) };
    keep_awake(db, &browser.session, idle_life, now).await?;
    Ok(Some(browser))
}

/// The login that a cookie stands for unless somebody has ended it, though it may have been idle for too
/// long: for whoever ends what was opened in it.
///
/// # Errors
/// If the database refuses.
pub async fn unended(db: &Db, cookie: &str, now: Timestamp) -> Result<Option<Browser>, DbErr> {
    find(db, cookie, Entity::unended(now)).await
}

async fn find(db: &Db, cookie: &str, which: Condition) -> Result<Option<Browser>, DbErr> {
    let question = Entity::find()
        .filter(Column::CookieDigest.eq(digest(cookie)))
        .filter(which)
        .find_also_related(account::Entity);
    let found = db.read(|db| async move { question.one(&db).await }).await?;
    Ok(found.and_then(|(session, account)| {
        let account = account.filter(account::Model::is_enabled)?;
        Some(Browser { session, account })
    }))
}

/// Moves the end of an unused login, if it is further off than it may be, either way: a setting may have
/// been shortened. Of several requests at once, one writes.
async fn keep_awake(
    db: &Db,
    session: &Model,
    idle_life: Duration,
    now: Timestamp,
) -> Result<(), DbErr> {
    let until = now.plus(idle_life).min(session.absolute_expires_at);
    let lag = LAG.min(idle_life / 12);
    if (until.minus(lag)..=until.plus(lag)).contains(&session.idle_expires_at) {
        return Ok(());
    }
    let moved = Entity::update_many()
        .col_expr(Column::IdleExpiresAt, Expr::value(until))
        .filter(Column::Id.eq(session.id))
        .filter(Column::IdleExpiresAt.eq(session.idle_expires_at))
        .filter(Entity::live(now));
    db.write(moved, move |txn, _, moved| {
        Box::pin(async move { moved.clone().exec(txn).await.map(drop) })
    })
    .await
}

/// All live sessions of whoever is logged in, newest first.
///
/// # Errors
/// If the database refuses.
pub async fn sessions_of(db: &Db, browser: &Browser, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    let question = Entity::find()
        .filter(Entity::live_of(browser.account.id, now))
        .order_by_desc(Column::AuthTime)
        .limit(100);
    db.read(|db| async move { question.all(&db).await }).await
}

/// Ends another session of whoever is logged in; one of somebody else is left alone.
///
/// # Errors
/// If the database refuses.
pub async fn end_other(
    db: &Db,
    browser: &Browser,
    session_id: Uuid,
    origin: &Origin,
) -> Result<(), DbErr> {
    let (account_id, origin) = (browser.account.id, origin.clone());
    db.write(origin, move |txn, now, origin| {
        Box::pin(async move {
            session::hold_account(txn, account_id).await?;
            let found = Entity::find_by_id(session_id).one(txn).await?;
            let Some(session) = found.filter(|it| it.account_id == account_id) else {
                return Ok::<_, DbErr>(());
            };
            if session::end(txn, session.id, EndReason::Logout, now).await? {
                Event::new(Kind::SessionRevoked)
                    .account(account_id)
                    .session(session.id, &session.client_id)
                    .record(txn, origin, now)
                    .await?;
                logout::end_opened(txn, session.id, now).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Ends all sessions of whoever is logged in, this one and those with `offline_access` included.
///
/// # Errors
/// If the database refuses.
pub async fn end_everywhere(db: &Db, browser: &Browser, origin: &Origin) -> Result<(), DbErr> {
    let (session, origin) = (browser.session.clone(), origin.clone());
    db.write((session, origin), move |txn, now, (session, origin)| {
        Box::pin(async move {
            let switch = KillSwitch::lock(txn, session.account_id).await?;
            session::hold_account(txn, session.account_id).await?;
            if !switch.end_all(txn, None, EndReason::Logout, now).await?.has_ended_any {
                return Ok::<_, DbErr>(());
            }
            Event::new(Kind::LogOut)
                .reason("everywhere")
                .account(session.account_id)
                .session(session.id, &session.client_id)
                .record(txn, origin, now)
                .await
        })
    })
    .await
}

/// What a new login takes over from the browser it happened in.
#[derive(Clone)]
pub struct Takeover {
    /// The new login.
    pub session_id: Uuid,
    /// Whose it is.
    pub account_id: Uuid,
    /// The digest of the cookie that stands for it from now on.
    pub cookie_digest: Vec<u8>,
    /// The digest of the cookie that the browser had before.
    pub old_digest: Vec<u8>,
    /// How long the new login lasts if it is not used.
    pub idle_life: Duration,
}

/// Gives a new login its cookie. What the browser had begun goes on under it; a login it had before, be
/// it idle, ends: quietly if it was of the same person, with all that was opened in it if not.
///
/// # Errors
/// If the database refuses.
pub async fn take_over(db: &Db, takeover: Takeover, origin: &Origin) -> Result<(), DbErr> {
    let origin = origin.clone();
    db.write((takeover, origin), move |txn, now, (takeover, origin)| {
        Box::pin(async move { take_over_in(txn, takeover, origin, now).await })
    })
    .await
}

async fn take_over_in(
    txn: &DatabaseTransaction,
    takeover: &Takeover,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let Takeover { session_id, account_id, cookie_digest, old_digest, idle_life } = takeover;
    let (session_id, account_id) = (*session_id, *account_id);
    session::hold_account(txn, account_id).await?;
    session::make_room_for_browser(txn, account_id, now).await?;
    let old = Entity::find()
        .filter(Column::CookieDigest.eq(old_digest.clone()))
        .filter(Entity::unended(now))
        .one(txn)
        .await?;
    if let Some(old) = old {
        if old.account_id == account_id {
            // Ended first: whoever redeems a code in it at this moment holds its row, and what they
            // opened is moved once they let go.
            session::end(txn, old.id, EndReason::Replaced, now).await?;
            move_clients(txn, old.id, session_id).await?;
        } else {
            logout::end_browser(txn, &old, origin, now).await?;
        }
    }
    // With the account held, if the browser had one: whoever takes back a consent does the same.
    move_waiting(txn, old_digest.clone(), cookie_digest.clone(), account_id).await?;
    give_cookie(txn, session_id, cookie_digest.clone(), now.plus(*idle_life)).await
}

/// Gives a new login its cookie in the browser whose login has just ended, as part of the transaction
/// that says why. What waits there goes on under it.
///
/// # Errors
/// If the database refuses.
pub async fn go_on_as(
    txn: &impl ConnectionTrait,
    old_id: Uuid,
    new_id: Uuid,
    cookie_digest: Vec<u8>,
    idle_until: Timestamp,
) -> Result<(), DbErr> {
    let old = Entity::find_by_id(old_id).one(txn).await?;
    if let Some((old_digest, account_id)) =
        old.and_then(|old| Some((old.cookie_digest?, old.account_id)))
    {
        move_waiting(txn, old_digest, cookie_digest.clone(), account_id).await?;
    }
    give_cookie(txn, new_id, cookie_digest, idle_until).await
}

async fn give_cookie(
    txn: &impl ConnectionTrait,
    session_id: Uuid,
    cookie_digest: Vec<u8>,
    idle_until: Timestamp,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::CookieDigest, Expr::value(cookie_digest))
        .col_expr(Column::IdleExpiresAt, Expr::value(idle_until))
        .filter(Column::Id.eq(session_id))
        .exec(txn)
        .await?;
    Ok(())
}

/// Requests that wait in a browser go on under its new cookie, for whoever is logged in by now.
async fn move_waiting(
    txn: &impl ConnectionTrait,
    old_digest: Vec<u8>,
    new_digest: Vec<u8>,
    account_id: Uuid,
) -> Result<(), DbErr> {
    pending_authorization::Entity::update_many()
        .col_expr(pending_authorization::Column::AccountId, Expr::value(account_id))
        .col_expr(pending_authorization::Column::BrowserDigest, Expr::value(new_digest))
        .filter(pending_authorization::Column::BrowserDigest.eq(old_digest))
        .exec(txn)
        .await?;
    Ok(())
}

/// What clients hold stays open: the person is the same.
async fn move_clients(txn: &impl ConnectionTrait, from: Uuid, to: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::BrowserSessionId, Expr::value(to))
        .filter(Column::BrowserSessionId.eq(from))
        .exec(txn)
        .await?;
    Ok(())
}
