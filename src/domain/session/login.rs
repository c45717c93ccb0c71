//! Logging in with a password: checks it and starts the session.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use tracing::field;
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::attempt_limit::{Admitted, Counted};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::granted::Granted;
use crate::domain::password::{AfterMatch, Check, HashError, Hasher, Password, Verdict};
use crate::domain::session::ending::{make_room, make_room_for_browser};
use crate::domain::session::{FIRST_PARTY_CLIENT, NewSession, find_account, start};
use crate::domain::status::{AllocationError, StatusEntries};
use crate::entity::account;
use crate::timestamp::Timestamp;

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// Wrong password, unknown address, no password or disabled account. One variant on purpose, so
    /// that callers cannot tell which.
    #[error("the credentials are invalid")]
    Refused,
    /// The password changed during the check, possibly only by a rehash.
    #[error("the account was changed meanwhile")]
    Changed,
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// No status list entry was available for the session.
    #[error("the session has no status")]
    Status(#[from] AllocationError),
    /// The database refused or failed.
    #[error("the login could not be stored")]
    Database(#[from] DbErr),
}

/// One attempt to log in.
pub struct LogIn<'a> {
    /// Identifies the account.
    pub email: &'a Email,
    /// The password entered.
    pub password: Password,
    /// Proof that the attempt is within the limits.
    pub admitted: Admitted,
    /// Where the attempt came from.
    pub origin: &'a Origin,
}

/// A login whose password was correct, with all that is needed to start its session.
#[derive(Clone)]
pub struct CheckedLogIn {
    account: account::Model,
    upgraded: Option<String>,
    /// The session to be started.
    pub session: NewSession,
    counted: Counted,
}

/// Checks the password of an account and starts a session of the JSON API.
///
/// # Errors
/// As [`check`] and [`begin`].
pub async fn log_in(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    attempt: LogIn<'_>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<Granted, LogInError> {
    let once = || async {
        let checked = check(db, hasher, entries, &attempt, settings, now).await?;
        db.write(checked, |txn, now, checked| Box::pin(begin(txn, checked, now))).await
    };
    conclude(db, &attempt, once).await
}

/// Checks a password, outside any transaction because hashing is slow.
///
/// An unknown address costs the same work as a known one. A stored hash weaker than the settings
/// require is replaced when the session starts.
///
/// # Errors
/// See [`LogInError`]; it is `Refused` after `login_failed` is recorded.
pub async fn check(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    attempt: &LogIn<'_>,
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<CheckedLogIn, LogInError> {
    let LogIn { email, password, admitted, origin } = attempt;
    let password = password.clone();
    let account = find_account(db, email).await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());

    let is_enabled = account.as_ref().is_some_and(account::Model::is_enabled);
    let then = if is_enabled { AfterMatch::Rehash } else { AfterMatch::Nothing };
    let (address, client) = (email.key(), origin.address);
    let check = Check { password, stored, account: address, client, then };
    let verdict = hasher.verify(check).await?;
    let Some(account) = account else {
        return Err(refuse(db, None, "unknown_account", attempt).await?);
    };
    let Verdict::Match { new_hash: upgraded } = verdict else {
        return Err(refuse(db, Some(account.id), "wrong_password", attempt).await?);
    };
    if !account.is_enabled() {
        return Err(refuse(db, Some(account.id), "disabled", attempt).await?);
    }
    let session = NewSession::prepare(db, entries, settings, origin, now).await?;
    Ok(CheckedLogIn { account, upgraded, session, counted: admitted.counted() })
}

/// Starts the session of a login whose password was correct, within the caller's transaction.
///
/// # Errors
/// [`LogInError::Changed`] if the account changed since the check, or a database error.
pub async fn begin(
    txn: &impl ConnectionTrait,
    checked: &CheckedLogIn,
    now: Timestamp,
) -> Result<Granted, LogInError> {
    let CheckedLogIn { account, upgraded, session, counted } = checked;
    let account = mark_logged_in(txn, account, upgraded.as_deref(), now).await?;
    match &session.cookie {
        Some(_) => make_room_for_browser(txn, account.id, now).await?,
        None => make_room(txn, account.id, FIRST_PARTY_CLIENT, now).await?,
    }
    let granted = start(txn, &account, session, Event::new(Kind::LogIn), now).await?;
    counted.refund(txn, now).await?;
    Ok(granted)
}

/// Records the failure. A database error takes precedence over the refusal. The cause is logged for
/// the operator and never sent to the client.
async fn refuse(
    db: &Db,
    account_id: Option<Uuid>,
    cause: &'static str,
    attempt: &LogIn<'_>,
) -> Result<LogInError, DbErr> {
    let (id, address) = (account_id.map(field::display), attempt.origin.address);
    let address = address.map(field::display);
    tracing::info!(cause, account.id = id, client.address = address, "login refused: {cause}");
    let event = Event::new(Kind::LogInFailed).reason(cause).account(account_id);
    attempt.admitted.counted().fail(db, event, attempt.origin).await?;
    Ok(LogInError::Refused)
}

/// Runs `once`, a second time if the account changed during the first: of several simultaneous
/// logins, the first replaces an outdated hash. Refunds an attempt that ended without a verdict.
///
/// # Errors
/// Those of `once`.
pub async fn conclude<F: Future<Output = Result<Granted, LogInError>> + Send>(
    db: &Db,
    attempt: &LogIn<'_>,
    once: impl Fn() -> F,
) -> Result<Granted, LogInError> {
    let result = match once().await {
        Err(LogInError::Changed) => once().await,
        result => result,
    };
    if result.as_ref().is_err_and(|error| !matches!(error, LogInError::Refused)) {
        attempt.admitted.counted().refund_without_verdict(db).await;
    }
    result
}

/// Updates the row only if the account is enabled and has the password hash that was checked: a
/// change of either that committed first takes precedence. Returns the row, with the epoch that is
/// fixed until the commit.
async fn mark_logged_in(
    txn: &impl ConnectionTrait,
    account: &account::Model,
    upgraded: Option<&str>,
    now: Timestamp,
) -> Result<account::Model, LogInError> {
    let mut update = account::Entity::update_many()
        .col_expr(account::Column::LastLoginAt, Expr::value(now))
        .filter(account::Column::Id.eq(account.id))
        .filter(account::Column::DisabledAt.is_null())
        .filter(account::Column::PasswordHash.eq(account.password_hash.clone()));
    if let Some(hash) = upgraded {
        update = update.col_expr(account::Column::PasswordHash, Expr::value(hash));
    }
    update.exec_with_returning(txn).await?.pop().ok_or(LogInError::Changed)
}
