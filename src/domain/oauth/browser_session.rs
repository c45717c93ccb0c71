//! Browser sessions: logins on the hosted pages, identified by a cookie.
//!
//! An unused browser session expires at its idle expiry (`idle_expires_at`). Client sessions that
//! were opened through it continue, because the user may be active in these clients. A use of the
//! browser session postpones the idle expiry. The same write records the time and the origin of the
//! use. This write happens at most every five minutes.
//!
//! After the idle expiry, the cookie still identifies the browser. So a logout still ends the
//! client sessions that were opened through the browser session. The next login of another user in
//! this browser ends them as well.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin, sanitized};
use crate::domain::secret::digest;
use crate::domain::session::{self, KillSwitch};
use crate::entity::account;
use crate::entity::session::{Column, EndReason, Entity, Model};
use crate::timestamp::Timestamp;

/// By how much the stored idle expiry and the stored time of last use may be out of date, because
/// they are not written at every use.
const LAG: Duration = Duration::from_mins(5);

/// A browser in which a user is logged in.
#[derive(Debug, Clone)]
pub struct Browser {
    /// The browser session.
    pub session: Model,
    /// The account of the session.
    pub account: account::Model,
}

/// Returns the live browser session of a cookie, moves its idle expiry to `idle_life` from now, and
/// records the time and the origin of this use. The idle expiry is never after the absolute expiry
/// of the session.
///
/// # Errors
/// If the database refuses.
pub async fn visit(
    db: &Db,
    cookie: &str,
    idle_life: Duration,
    origin: &Origin,
    now: Timestamp,
) -> Result<Option<Browser>, DbErr> {
    let Some(browser) = find(db, cookie, Entity::live(now)).await? else { return Ok(None) };
    record_use(db, &browser.session, idle_life, origin, now).await?;
    Ok(Some(browser))
}

/// The browser session of a cookie, unless it was ended. A browser session whose idle expiry has
/// passed is returned as well, so that the client sessions opened through it can be ended.
///
/// # Errors
/// If the database refuses.
pub async fn unended(db: &Db, cookie: &str, now: Timestamp) -> Result<Option<Browser>, DbErr> {
    find(db, cookie, Entity::unended(now)).await
}

async fn find(db: &Db, cookie: &str, condition: Condition) -> Result<Option<Browser>, DbErr> {
    let query = Entity::find()
        .filter(Column::CookieDigest.eq(digest(cookie)))
        .filter(condition)
        .find_also_related(account::Entity);
    let found = db.read(|db| async move { query.one(&db).await }).await?;
    Ok(found.and_then(|(session, account)| {
        let account = account.filter(account::Model::is_enabled)?;
        Some(Browser { session, account })
    }))
}

/// Records a use of a browser session, if the stored idle expiry or the stored time of last use is
/// out of date by more than the lag. The stored idle expiry may be later than the new one, if the
/// setting was reduced. Of several concurrent requests, only one writes.
async fn record_use(
    db: &Db,
    session: &Model,
    idle_life: Duration,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let until = now.plus(idle_life).min(session.absolute_expires_at);
    let lag = LAG.min(idle_life / 12);
    let is_current = (until.minus(lag)..=until.plus(lag)).contains(&session.idle_expires_at)
        && now.since(session.last_used_at()) <= lag;
    if is_current {
        return Ok(());
    }
    let is_unchanged = match session.rotated_at {
        Some(at) => Column::RotatedAt.eq(at),
        None => Column::RotatedAt.is_null(),
    };
    let address = origin.address.map(|address| address.to_string());
    let user_agent = origin.user_agent.as_deref().map(sanitized);
    let update = Entity::update_many()
        .col_expr(Column::IdleExpiresAt, Expr::value(until))
        .col_expr(Column::RotatedAt, Expr::value(now))
        .col_expr(Column::Address, Expr::value(address))
        .col_expr(Column::UserAgent, Expr::value(user_agent))
        .filter(Column::Id.eq(session.id))
        .filter(Column::IdleExpiresAt.eq(session.idle_expires_at))
        .filter(is_unchanged)
        .filter(Entity::live(now));
    db.write(update, move |txn, _, update| {
        Box::pin(async move { update.clone().exec(txn).await.map(drop) })
    })
    .await
}

/// Ends all sessions of the logged-in user, including this browser session and sessions with
/// `offline_access`.
///
/// # Errors
/// If the database refuses.
pub async fn end_everywhere(db: &Db, browser: &Browser, origin: &Origin) -> Result<(), DbErr> {
    let (session, origin) = (browser.session.clone(), origin.clone());
    db.write((session, origin), move |txn, now, (session, origin)| {
        Box::pin(async move {
            let switch = KillSwitch::lock(txn, session.account_id).await?;
            session::lock_account(txn, session.account_id).await?;
            if !switch.end_all(txn, None, EndReason::Logout, now).await?.has_ended_any {
                return Ok::<_, DbErr>(());
            }
            Event::new(Kind::LogOut)
                .reason("everywhere")
                .session(session.account_id, session.id, &session.client_id)
                .record(txn, origin, now)
                .await
        })
    })
    .await
}
