//! Login with a password: checks the password and starts the session.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use tracing::field;
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::attempt_limit::{Admitted, Counted};
use crate::domain::audit::{Event, Kind, Origin, sanitized};
use crate::domain::email::Email;
use crate::domain::granted::Granted;
use crate::domain::mail::{Content, MailQueue};
use crate::domain::password::{AfterMatch, Check, HashError, Hasher, Password, Verdict};
use crate::domain::session::device;
use crate::domain::session::ending::{limit_browser_sessions, limit_client_sessions};
use crate::domain::session::{FIRST_PARTY_CLIENT, NewSession, find_account, start};
use crate::domain::status::{AllocationError, StatusEntries};
use crate::entity::account;
use crate::timestamp::Timestamp;

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// Wrong password, unknown address, no password or disabled account. All causes share one
    /// variant, so that callers cannot distinguish them.
    #[error("the credentials are invalid")]
    Refused,
    /// The password is right, but the address of the account with this id is not verified, which
    /// the settings require.
    #[error("the address is not verified")]
    EmailNotVerified(Uuid),
    /// The password was right at each check, but the account changed before the login was stored.
    /// The client may retry.
    #[error("the password hash of the account changed during each check")]
    Changed,
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// No status list entry was available for the session.
    #[error("no status list entry was available")]
    Status(#[from] AllocationError),
    /// The database refused or failed.
    #[error("the login could not be stored")]
    Database(#[from] DbErr),
}

/// What happens at a login with the right password if the address of the account is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// It succeeds.
    Accepted,
    /// It is refused with [`LogInError::EmailNotVerified`].
    Refused,
}

/// How many times a password is checked if the account changes after each check.
pub(in crate::domain) const MAX_CHECKS: usize = 5;

/// What a login does with a stored hash of another cost than the settings require.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldHash {
    /// It replaces the hash.
    Replaced,
    /// It leaves the replacement to a later login. Otherwise, of many concurrent logins at two
    /// instances with different settings, each would invalidate the checks of all others.
    Kept,
}

/// One attempt to log in.
pub struct LogIn<'a> {
    /// Identifies the account.
    pub email: &'a Email,
    /// The password entered.
    pub password: Password,
    /// Proof that the attempt is within the attempt limits.
    pub admitted: Admitted,
    /// Where the attempt came from.
    pub origin: &'a Origin,
    /// Queues the notice about a new device.
    pub mail: &'a MailQueue,
    /// What happens if the address is not verified.
    pub unverified: Unverified,
}

/// A login whose password was correct, and the data that its session needs.
#[derive(Clone)]
pub struct CheckedLogIn {
    account: account::Model,
    new_hash: Option<String>,
    /// The session to be started.
    pub session: NewSession,
    counted: Counted,
    /// Queues the notice about a new device; `None` if the device is known.
    notice: Option<MailQueue>,
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
    let log_in_once = |old_hash| {
        let attempt = &attempt;
        async move {
            let attempt = (attempt, old_hash);
            let checked = check(db, hasher, entries, attempt, settings, now).await?;
            db.write(checked, |txn, now, checked| Box::pin(begin(txn, checked, now))).await
        }
    };
    run_with_retry(db, &attempt, log_in_once).await
}

/// Checks a password. Must run outside any transaction, because hashing is slow.
///
/// An unknown address costs the same work as a known address. A stored hash of another cost than
/// the settings require is replaced when the session starts, unless `old_hash` says otherwise.
///
/// # Errors
/// See [`LogInError`]. Before it returns [`LogInError::Refused`] or
/// [`LogInError::EmailNotVerified`], it records `login_failed`.
pub async fn check(
    db: &Db,
    hasher: &Hasher,
    entries: &StatusEntries,
    (attempt, old_hash): (&LogIn<'_>, OldHash),
    settings: &TokenSettings,
    now: Timestamp,
) -> Result<CheckedLogIn, LogInError> {
    let LogIn { email, password, admitted, origin, mail, unverified } = attempt;
    let password = password.clone();
    let account = find_account(db, email).await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());

    let is_enabled = account.as_ref().is_some_and(account::Model::is_enabled);
    let is_replaced = is_enabled && old_hash == OldHash::Replaced;
    let then = if is_replaced { AfterMatch::Rehash } else { AfterMatch::Nothing };
    let (address, client) = (email.key(), origin.address);
    let check = Check { password, stored, account: address, client, then };
    let verdict = hasher.verify(check).await?;
    let Some(account) = account else {
        return Err(refuse(db, None, "unknown_account", attempt).await?);
    };
    let Verdict::Match { new_hash } = verdict else {
        return Err(refuse(db, Some(account.id), "wrong_password", attempt).await?);
    };
    if !account.is_enabled() {
        return Err(refuse(db, Some(account.id), "disabled", attempt).await?);
    }
    if *unverified == Unverified::Refused && !account.email_claims().email_verified {
        refuse(db, Some(account.id), "email_not_verified", attempt).await?;
        return Err(LogInError::EmailNotVerified(account.id));
    }
    let session = NewSession::prepare(db, entries, settings, origin, now).await?;
    let is_notified = mail.has_notices() && device::is_new(db, account.id, origin).await?;
    let notice = is_notified.then(|| (*mail).clone());
    Ok(CheckedLogIn { account, new_hash, session, counted: admitted.counted(), notice })
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
    let CheckedLogIn { account, new_hash, session, counted, notice } = checked;
    let account = mark_logged_in(txn, account, new_hash.as_deref(), now).await?;
    match &session.cookie {
        Some(_) => limit_browser_sessions(txn, account.id, now).await?,
        None => limit_client_sessions(txn, account.id, FIRST_PARTY_CLIENT, now).await?,
    }
    let granted = start(txn, &account, session, Event::new(Kind::LogIn), now).await?;
    counted.refund(txn, now).await?;
    if let Some(mail) = notice {
        let origin = &session.origin;
        let content = Content::NewDevice {
            user_agent: origin.user_agent.as_deref().map(sanitized),
            address: origin.address.map(|address| address.to_string()),
        };
        mail.send(txn, &account, content, origin, now).await?;
    }
    Ok(granted)
}

/// Records the failure of a login. The cause is logged for the operator and never sent to the
/// client. If the failure cannot be recorded, the database error is returned instead of the
/// refusal.
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

/// Runs `log_in_once`, and runs it again if the account changed meanwhile, but not more than
/// `MAX_CHECKS` times. Of several concurrent logins, the first replaces an outdated hash, so the
/// others find a changed account. Refunds an attempt that ended without a verdict. If the account
/// changed each time, the password was right each time, so the attempt is also refunded to the
/// window of the account.
///
/// # Errors
/// Those of `log_in_once`.
pub async fn run_with_retry<F: Future<Output = Result<Granted, LogInError>> + Send>(
    db: &Db,
    attempt: &LogIn<'_>,
    log_in_once: impl Fn(OldHash) -> F,
) -> Result<Granted, LogInError> {
    let mut result = log_in_once(OldHash::Replaced).await;
    for _ in 1..MAX_CHECKS {
        if !matches!(result, Err(LogInError::Changed)) {
            break;
        }
        result = log_in_once(OldHash::Kept).await;
    }
    let counted = attempt.admitted.counted();
    match &result {
        Ok(_) | Err(LogInError::Refused | LogInError::EmailNotVerified(_)) => {}
        Err(LogInError::Changed) => counted.with_account().refund_without_verdict(db).await,
        Err(LogInError::Hashing(_) | LogInError::Status(_) | LogInError::Database(_)) => {
            counted.refund_without_verdict(db).await;
        }
    }
    result
}

/// Updates the account's row, if the account is still enabled and still has the password hash, the
/// email address and the verification of this address that were checked. Returns the updated row.
/// Its session epoch cannot change until the commit.
async fn mark_logged_in(
    txn: &impl ConnectionTrait,
    account: &account::Model,
    new_hash: Option<&str>,
    now: Timestamp,
) -> Result<account::Model, LogInError> {
    let mut update = account::Entity::update_many()
        .col_expr(account::Column::LastLoginAt, Expr::value(now))
        .filter(account::Column::Id.eq(account.id))
        .filter(account::Column::DisabledAt.is_null())
        .filter(account::Column::PasswordHash.eq(account.password_hash.clone()));
    if let Some(hash) = new_hash {
        update = update.col_expr(account::Column::PasswordHash, Expr::value(hash));
    }
    let updated = update.exec_with_returning(txn).await?.pop().ok_or(LogInError::Changed)?;
    let is_unchanged =
        account.email == updated.email && account.email_verified_at == updated.email_verified_at;
    if is_unchanged { Ok(updated) } else { Err(LogInError::Changed) }
}
