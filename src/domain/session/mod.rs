//! Logins: a session is a row that begins with a right password and ends with a logout (`ending`), or
//! with all others of its account (`kill_switch`, `unfinished`).

mod ending;
mod kill_switch;
mod logout_notice;
mod retention;
mod unfinished;

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::attempt::{self, Admitted};
use crate::domain::audit::{Event, Kind, Origin, kept};
use crate::domain::email::Email;
use crate::domain::id;
use crate::domain::password::{Check, HashError, Hasher, Password, Then, Verdict};
use crate::domain::status::{DrawError, StatusEntries, StatusEntry};
use crate::entity::account::{self, EmailClaims};
use crate::entity::session;
use crate::timestamp::Timestamp;

pub use ending::{
    end, end_each, end_of_client, end_portion_of_client, hold_account, log_out, make_room,
    make_room_for_browser,
};
pub use kill_switch::{KillSwitch, Switched};
pub use logout_notice::{LogoutNotice, adopt_old as adopt_old_notices, notify_clients};
pub use retention::{purge_ended, purge_expired};
pub use unfinished::{count as count_unfinished, end_rest, end_some};

/// The `client_id` of sessions that the JSON API starts.
pub const FIRST_PARTY_CLIENT: &str = "signet";

/// The `scope` of sessions that the JSON API starts.
pub const FIRST_PARTY_SCOPE: &str = "openid email offline_access";

/// What a login or a refresh grants: all that tokens are made from.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Who it is.
    pub account_id: Uuid,
    /// The address of the account.
    pub email: EmailClaims,
    /// The login.
    pub session_id: Uuid,
    /// Who holds the tokens.
    pub client_id: String,
    /// What they are for, space-separated.
    pub scope: String,
    /// Whom the tokens are for, space-separated; the service's own audience if none.
    pub audience: Option<String>,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// The number of the newest refresh token.
    pub generation: i64,
    /// End of life of that refresh token.
    pub refresh_expires_at: Timestamp,
    /// Where verifiers see that it has ended; none if it began before there were status lists.
    pub status: Option<StatusEntry>,
}

impl Granted {
    /// What `session` of the account with `email` grants.
    #[must_use]
    pub fn of(session: session::Model, email: EmailClaims) -> Self {
        let status = status_of(&session);
        Self {
            account_id: session.account_id,
            email,
            session_id: session.id,
            client_id: session.client_id,
            scope: session.scope,
            audience: session.audience,
            auth_time: session.auth_time,
            generation: session.generation,
            refresh_expires_at: session.idle_expires_at.min(session.absolute_expires_at),
            status,
        }
    }
}

fn status_of(session: &session::Model) -> Option<StatusEntry> {
    let (list, index) = session.status_list.zip(session.status_index)?;
    Some(StatusEntry { list, index })
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// Wrong password, unknown address, no password, or disabled: one variant on purpose, so that
    /// no caller can tell which.
    #[error("the credentials are not right")]
    Refused,
    /// The password was replaced while it was checked, perhaps only by a better hash of itself.
    #[error("the account has changed meanwhile")]
    Changed,
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// There was no entry of a status list for the session.
    #[error("the session has no status")]
    Status(#[from] DrawError),
    /// The database refused or failed.
    #[error("the login could not be stored")]
    Database(#[from] DbErr),
}

/// Starts a session for whoever knows the password of `email`.
///
/// An unknown address costs the same work as a known one. A stored hash that is weaker than the
/// settings ask for is replaced in the same transaction.
///
/// # Errors
/// [`LogInError::Refused`] once `login_failed` is recorded.
pub async fn log_in(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    attempt: LogIn<'_>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Granted, LogInError> {
    match check_and_start(db, hasher, entries, &attempt, settings, now).await {
        // Of several logins at once, the first replaces an old hash by one at today's cost.
        Err(LogInError::Changed) => {
            check_and_start(db, hasher, entries, &attempt, settings, now).await
        }
        result => result,
    }
}

async fn check_and_start(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    attempt: &LogIn<'_>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Granted, LogInError> {
    let LogIn { email, password, admitted, origin } = attempt;
    let password = password.clone();
    let account = db
        .read(|db| async move {
            account::Entity::find_by_address(email.address(), email.folded()).one(&db).await
        })
        .await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());

    let is_enabled = account.as_ref().is_some_and(account::Model::is_enabled);
    let then = if is_enabled { Then::Renew } else { Then::Nothing };
    let (address, client) = (email.key(), origin.address);
    let check = Check { password, stored, account: address, client, then };
    let verdict = hasher.verify(check).await?;
    let (Some(account), Verdict::Match { new_hash: upgraded }) = (account.clone(), verdict) else {
        return Err(refuse(db, account.map(|account| account.id), origin).await?);
    };
    if !account.is_enabled() {
        return Err(refuse(db, Some(account.id), origin).await?);
    }
    let status = entries.draw(db, now).await?;

    let settings = settings.clone();
    let (origin, account_window) = ((*origin).clone(), admitted.account_window());
    db.write(
        (account, upgraded, settings, origin, account_window),
        move |txn, now, (account, upgraded, settings, origin, account_window)| {
            Box::pin(async move {
                let epoch = mark_logged_in(txn, account, upgraded.as_deref(), now).await?;
                make_room(txn, account.id, FIRST_PARTY_CLIENT, now).await?;
                let email = account.email_claims();
                let new = NewSession { account_id: account.id, email, epoch, status };
                let granted = start(txn, new, settings, origin, now).await?;
                Event::new(Kind::LogIn)
                    .account(granted.account_id)
                    .session(granted.session_id, &granted.client_id)
                    .record(txn, origin, now)
                    .await?;
                attempt::forget(txn, account_window.as_ref()).await?;
                Ok(granted)
            })
        },
    )
    .await
}

/// One attempt to log in.
pub struct LogIn<'a> {
    /// Whose account.
    pub email: &'a Email,
    /// What was typed.
    pub password: Password,
    /// It keeps to the limits.
    pub admitted: Admitted,
    /// Where the attempt came from.
    pub origin: &'a Origin,
}

/// Records the failure; the error of the database wins over the refusal.
async fn refuse(db: &Db, account_id: Option<Uuid>, origin: &Origin) -> Result<LogInError, DbErr> {
    let event = Event::new(Kind::LogInFailed);
    let event = match account_id {
        Some(id) => event.account(id).reason("wrong_password_or_disabled"),
        None => event.reason("unknown_account"),
    };
    let origin = origin.clone();
    db.write((event, origin), move |txn, now, (event, origin)| {
        Box::pin(async move { event.clone().record(txn, origin, now).await })
    })
    .await?;
    Ok(LogInError::Refused)
}

/// Matches the row only while the password is the one that was checked and the account enabled: a
/// change of either that was answered before this commit wins. Returns the epoch, which is the account's
/// until the commit.
async fn mark_logged_in(
    txn: &impl ConnectionTrait,
    account: &account::Model,
    upgraded: Option<&str>,
    now: Timestamp,
) -> Result<i32, LogInError> {
    let mut update = account::Entity::update_many()
        .col_expr(account::Column::LastLoginAt, Expr::value(now))
        .filter(account::Column::Id.eq(account.id))
        .filter(account::Column::DisabledAt.is_null())
        .filter(account::Column::PasswordHash.eq(account.password_hash.clone()));
    if let Some(hash) = upgraded {
        update = update.col_expr(account::Column::PasswordHash, Expr::value(hash));
    }
    let matched = update.exec_with_returning(txn).await?;
    matched.first().map(|account| account.session_epoch).ok_or(LogInError::Changed)
}

/// A session that is about to begin.
pub struct NewSession {
    /// Whose login it is.
    pub account_id: Uuid,
    /// The address of the account.
    pub email: EmailClaims,
    /// The account's epoch, read with the account locked.
    pub epoch: i32,
    /// Where verifiers will see that it has ended.
    pub status: StatusEntry,
}

/// Writes a new session of the JSON API, as part of the transaction that grants it.
///
/// # Errors
/// If the database refuses.
pub async fn start(
    txn: &impl ConnectionTrait,
    new: NewSession,
    settings: &TokenSettings,
    origin: &Origin,
    now: Timestamp,
) -> Result<Granted, DbErr> {
    let absolute_expires_at = now.plus(settings.session_life());
    let row = session::Model {
        id: id::new(now),
        account_id: new.account_id,
        client_id: FIRST_PARTY_CLIENT.to_owned(),
        scope: FIRST_PARTY_SCOPE.to_owned(),
        auth_time: now,
        generation: 0,
        rotated_at: None,
        idle_expires_at: now.plus(settings.refresh_token_life()).min(absolute_expires_at),
        absolute_expires_at,
        address: origin.address.map(|address| address.to_string()),
        user_agent: origin.user_agent.as_deref().map(kept),
        ended_at: None,
        end_reason: None,
        status_list: Some(new.status.list),
        status_index: Some(new.status.index),
        cookie_digest: None,
        browser_session_id: None,
        audience: None,
        claims: None,
        epoch: Some(new.epoch),
    };
    insert(txn, &row).await?;
    Ok(Granted::of(row, new.email))
}

/// Writes a new session of whatever kind, as part of the transaction that grants it.
///
/// # Errors
/// If the database refuses.
pub async fn insert(txn: &impl ConnectionTrait, row: &session::Model) -> Result<(), DbErr> {
    session::Entity::insert(session::ActiveModel::from(row.clone()).reset_all())
        .exec_without_returning(txn)
        .await?;
    Ok(())
}

/// The account behind a live session; none if the session ended or the account is disabled.
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

/// The same, with the session.
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
