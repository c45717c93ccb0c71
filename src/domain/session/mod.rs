//! Sessions: a session is a row. It starts with a login (`login`). It ends with a logout
//! (`ending`), or by the kill switch of its account (`kill_switch`, `unfinished`).

mod device;
mod ending;
mod kill_switch;
pub mod listing;
mod login;
mod logout_outbox;
mod retention;
mod unfinished;

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::audit::{Event, Origin, sanitized};
use crate::domain::email::Email;
use crate::domain::granted::{Granted, StatusEntry};
use crate::domain::id;
use crate::domain::status::{AllocationError, StatusEntries};
use crate::entity::{account, session};
use crate::timestamp::Timestamp;

pub use ending::{
    end, end_each, end_of_client, end_opened, end_portion_of_client, limit_browser_sessions,
    limit_client_sessions, lock_account, log_out,
};
pub use kill_switch::{KillSwitch, Switched};
pub(in crate::domain) use login::MAX_CHECKS;
pub use login::{
    CheckedLogIn, LogIn, LogInError, OldHash, Unverified, begin, check, log_in, run_with_retry,
};
pub use logout_outbox::{LogoutNotice, adopt_old as adopt_old_notices, notify_clients};
pub use retention::{purge_ended, purge_expired};
pub use unfinished::{end_rest, end_some};

/// The `client_id` of sessions that the JSON API or the hosted pages start.
pub const FIRST_PARTY_CLIENT: &str = "signet";

/// The `scope` of sessions that the JSON API or the hosted pages start.
pub const FIRST_PARTY_SCOPE: [&str; 3] = ["openid", "email", "offline_access"];

/// A session to be started: all data that the transaction needs, except the account.
#[derive(Clone)]
pub struct NewSession {
    status: StatusEntry,
    settings: TokenSettings,
    /// Where the request came from.
    pub origin: Origin,
    /// The cookie, if the session is a browser session.
    pub cookie: Option<BrowserCookie>,
}

impl NewSession {
    /// Prepares a session of the JSON API.
    ///
    /// # Errors
    /// If no status list entry is available.
    pub async fn prepare(
        db: &Db,
        entries: &StatusEntries,
        settings: &TokenSettings,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Self, AllocationError> {
        let status = entries.allocate(db, now).await?;
        Ok(Self { status, settings: settings.clone(), origin: origin.clone(), cookie: None })
    }

    /// Makes the session a browser session.
    #[must_use]
    pub fn in_browser(self, cookie: BrowserCookie) -> Self {
        Self { cookie: Some(cookie), ..self }
    }
}

/// The cookie of a browser session.
#[derive(Debug, Clone)]
pub struct BrowserCookie {
    /// SHA-256 of the cookie.
    pub digest: Vec<u8>,
    /// SHA-256 of the browser's previous cookie.
    pub previous_digest: Vec<u8>,
    /// When the login form was received. A browser may send a form repeatedly. This time orders the
    /// logins of such repetitions.
    pub received_at: Timestamp,
}

/// Stores a new session of the JSON API or the hosted pages, and records `event` for it. Must run
/// in the transaction that grants the session. The row `account` must have been read while it was
/// locked, because the session gets its epoch.
///
/// # Errors
/// If the database refuses.
pub async fn start(
    txn: &impl ConnectionTrait,
    account: &account::Model,
    new: &NewSession,
    event: Event,
    now: Timestamp,
) -> Result<Granted, DbErr> {
    let NewSession { status, settings, origin, cookie } = new;
    let absolute_expires_at = now.plus(settings.session_life());
    let (idle_life, auth_time) = match cookie {
        Some(cookie) => (settings.browser_idle_life(), cookie.received_at.min(now)),
        None => (settings.refresh_token_life(), now),
    };
    let cookie = cookie.clone().map(|it| (it.digest, it.previous_digest));
    let (cookie_digest, previous_cookie_digest) = cookie.unzip();
    let row = session::Model {
        id: id::new(now),
        account_id: account.id,
        client_id: FIRST_PARTY_CLIENT.to_owned(),
        scope: FIRST_PARTY_SCOPE.into_iter().collect(),
        auth_time,
        idle_expires_at: now.plus(idle_life).min(absolute_expires_at),
        absolute_expires_at,
        address: origin.address.map(|address| address.to_string()),
        user_agent: origin.user_agent.as_deref().map(sanitized),
        status_list: Some(status.list),
        status_index: Some(status.index),
        cookie_digest,
        epoch: Some(account.session_epoch),
        previous_cookie_digest,
        ..session::Model::default()
    };
    insert(txn, &row).await?;
    let event = event.session(account.id, row.id, &row.client_id);
    event.record(txn, origin, now).await?;
    Ok(Granted::of(row, account.email_claims()))
}

/// Stores a new session of any kind. Must run in the transaction that grants the session.
///
/// # Errors
/// If the database refuses.
pub async fn insert(txn: &impl ConnectionTrait, row: &session::Model) -> Result<(), DbErr> {
    session::Entity::insert(session::ActiveModel::from(row.clone()).reset_all())
        .exec_without_returning(txn)
        .await?;
    Ok(())
}

/// The account with this address.
///
/// # Errors
/// If the database refuses.
pub async fn find_account(db: &Db, email: &Email) -> Result<Option<account::Model>, DbErr> {
    let found = account::Entity::find_by_address(email.address(), email.folded());
    db.read(|db| async move { found.one(&db).await }).await
}

/// The account of a live session, or `None` if the session has ended or the account is disabled.
///
/// # Errors
/// If the database refuses.
pub async fn account_of_live(
    db: &Db,
    session_id: Uuid,
    account_id: Uuid,
    now: Timestamp,
) -> Result<Option<account::Model>, DbErr> {
    Ok(find_live(db, session_id, account_id, now).await?.map(|(_, account)| account))
}

/// As [`account_of_live`], but also returns the session.
///
/// # Errors
/// If the database refuses.
pub async fn find_live(
    db: &Db,
    session_id: Uuid,
    account_id: Uuid,
    now: Timestamp,
) -> Result<Option<(session::Model, account::Model)>, DbErr> {
    let live = session::Entity::find_by_id(session_id)
        .filter(session::Column::AccountId.eq(account_id))
        .filter(session::Entity::live(now))
        .find_also_related(account::Entity);
    let found = db.read(|db| async move { live.one(&db).await }).await?;
    Ok(found.and_then(|(session, account)| {
        let account = account.filter(account::Model::is_enabled)?;
        Some((session, account))
    }))
}
