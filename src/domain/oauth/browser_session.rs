//! Logins on the hosted pages: sessions identified by a cookie.
//!
//! An unused login ends after an idle timeout (`idle_expires_at`). Client sessions that were opened
//! through it continue, because the user may be active in these clients.
//!
//! After the idle timeout, the cookie still identifies the browser. So a logout still ends these
//! client sessions, and so does the next login of another user in this browser.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::secret::digest;
use crate::domain::session::{self, KillSwitch};
use crate::entity::account;
use crate::entity::session::{Column, EndReason, Entity, Model};
use crate::timestamp::Timestamp;

/// How far `idle_expires_at` may lag behind the last use, because it is not written at every use.
const LAG: Duration = Duration::from_mins(5);

/// The login of a browser.
#[derive(Debug, Clone)]
pub struct Browser {
    /// The session of the login.
    pub session: Model,
    /// The account of the login.
    pub account: account::Model,
}

/// Returns the live login of a cookie, and moves its idle timeout to `idle_life` from now. The end
/// of the session limits the idle timeout.
///
/// # Errors
/// If the database refuses.
pub async fn visit(
    db: &Db,
    cookie: &str,
    idle_life: Duration,
    now: Timestamp,
) -> Result<Option<Browser>, DbErr> {
    let Some(browser) = find(db, cookie, Entity::live(now)).await? else { return Ok(None) };
    extend_idle_life(db, &browser.session, idle_life, now).await?;
    Ok(Some(browser))
}

/// The login of a cookie, unless it was ended. A login whose idle timeout has passed is returned as
/// well, so that the client sessions opened through it can be ended.
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

/// Moves the idle timeout of a login if it differs from the new one by more than the lag. It may be
/// later than the new one, if the setting was reduced. Only one of several concurrent requests
/// writes.
async fn extend_idle_life(
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
    let update = Entity::update_many()
        .col_expr(Column::IdleExpiresAt, Expr::value(until))
        .filter(Column::Id.eq(session.id))
        .filter(Column::IdleExpiresAt.eq(session.idle_expires_at))
        .filter(Entity::live(now));
    db.write(update, move |txn, _, update| {
        Box::pin(async move { update.clone().exec(txn).await.map(drop) })
    })
    .await
}

/// Ends all sessions of the logged-in user, including this login and sessions with
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
