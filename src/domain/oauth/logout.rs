//! Logging a browser out (OpenID Connect RP-Initiated Logout 1.0).

use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::id_token::Hint;
use crate::domain::session;
use crate::entity::client::Model as Client;
use crate::entity::session::{Column, EndReason, Entity, Model};
use crate::timestamp::Timestamp;

/// Ends a browser session and the client sessions opened through it.
///
/// # Errors
/// If the database refuses.
pub async fn log_out(db: &Db, browser: &Browser, origin: &Origin) -> Result<(), DbErr> {
    let (session, origin) = (browser.session.clone(), origin.clone());
    db.urgent()
        .write((session, origin), |txn, now, (session, origin)| {
            Box::pin(end_browser(txn, session, origin, now))
        })
        .await
}

/// As [`log_out`], within the caller's transaction.
///
/// Sessions with `offline_access` continue, as this scope implies. Nevertheless, their clients are
/// notified (OpenID Connect Back-Channel Logout 1.0 §2.7).
///
/// # Errors
/// If the database refuses.
pub async fn end_browser(
    txn: &DatabaseTransaction,
    browser: &Model,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    session::lock_account(txn, browser.account_id).await?;
    // The browser session ends first. A concurrent code exchange locks its row, so the client
    // session that the exchange starts is committed before, and found below.
    if session::end(txn, browser.id, EndReason::Logout, now).await? {
        Event::new(Kind::LogOut)
            .session(browser.account_id, browser.id, &browser.client_id)
            .record(txn, origin, now)
            .await?;
    }
    session::end_opened(txn, browser.id, now).await
}

/// The redirect URI after a logout. It must be registered for the client, by exact comparison, and
/// an ID token must prove that the request is from this client (§3).
#[must_use]
pub fn destination<'u>(
    client: &Client,
    uri: Option<&'u str>,
    hint: Option<&Hint>,
) -> Option<&'u str> {
    let is_proven = hint.is_some_and(|hint| hint.client_id == client.id);
    uri.filter(|uri| is_proven && client.post_logout_redirect_uris.has(uri))
}

/// Whether an ID token is of a client session that was opened through this browser session. If so,
/// the logout needs no confirmation by the user (§2).
///
/// # Errors
/// If the database refuses.
pub async fn belongs(db: &Db, hint: &Hint, browser: &Browser) -> Result<bool, DbErr> {
    if hint.account_id != browser.account.id {
        return Ok(false);
    }
    let query = Entity::find_by_id(hint.session_id)
        .filter(Column::BrowserSessionId.eq(browser.session.id))
        .filter(Column::ClientId.eq(&hint.client_id));
    Ok(db.read(|db| async move { query.one(&db).await }).await?.is_some())
}
