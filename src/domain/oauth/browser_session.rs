//! Logins on the hosted pages: a session like any other, that a cookie stands for.
//!
//! One that is not used ends before its time (`idle_expires_at`). What clients got in it goes on, as
//! its person may be working there all the while, and is still ended by a logout, and by the next login
//! of somebody else in the browser: the cookie goes on saying which browser it was.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::secret::digest;
use crate::domain::session::{self, KillSwitch};
use crate::entity::account;
use crate::entity::session::{Column, EndReason, Entity, Model};
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
