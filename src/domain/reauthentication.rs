//! Actions that require reauthentication: changing the password, downloading the data of the
//! account, and deleting the account. A change of the email address (`email_change`) uses the same
//! checks.
//!
//! The actions check the password outside any transaction, because hashing is slow. Then one
//! transaction locks the account and the session of the request. The stored hash must not have
//! changed since the check, and the session must still be live.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::account;
use crate::domain::attempt_limit::Admitted;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::mail::{Content, MailQueue};
use crate::domain::oauth::hosted_login;
use crate::domain::password::{AfterMatch, Check, HashError, Hasher, Password, Verdict};
use crate::domain::session::listing::{self, Login};
use crate::domain::session::{
    self, BrowserCookie, FIRST_PARTY_CLIENT, KillSwitch, MAX_CHECKS, NewSession, Switched,
};
use crate::domain::status::{AllocationError, StatusEntries};
use crate::entity::account::{self as account_row, Column};
use crate::entity::session::EndReason;
use crate::timestamp::Timestamp;

/// A reauthentication of a logged-in user.
pub struct Confirmation<'a> {
    /// The session of the request.
    pub login: Login,
    /// The password that the user entered.
    pub password: Password,
    /// Proof that the attempt is within the attempt limits.
    pub admitted: Admitted,
    /// Where the request came from.
    pub origin: &'a Origin,
    /// Queues the notice to the owner.
    pub mail: &'a MailQueue,
}

/// The new password.
#[derive(Clone)]
pub struct Replacement<'a> {
    /// A password that meets the policy.
    pub password: Password,
    /// The new browser session that replaces the session of the request. `None` if the session of
    /// the request continues.
    pub new_login: Option<NewLogin<'a>>,
}

/// A new browser session. The old browser session does not continue, because its cookie may have
/// been stolen.
#[derive(Clone)]
pub struct NewLogin<'a> {
    /// Allocates the status list entry of the session.
    pub entries: &'a StatusEntries,
    /// Settings with the lifetime of the session.
    pub settings: &'a TokenSettings,
    /// The cookie of the session.
    pub cookie: BrowserCookie,
}

impl NewLogin<'_> {
    async fn prepare(
        &self,
        db: &Db,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<NewSession, AllocationError> {
        let new = NewSession::prepare(db, self.entries, self.settings, origin, now).await?;
        Ok(new.in_browser(self.cookie.clone()))
    }
}

/// Why the action failed.
#[derive(Debug, thiserror::Error)]
pub enum ReauthenticationError {
    /// The session of the request has ended, or its account is disabled or deleted.
    #[error("the session has ended")]
    NotLoggedIn,
    /// The password is wrong.
    #[error("the password is wrong")]
    Refused,
    /// The password was right at each check, but the stored hash changed before the action was
    /// stored. The client may retry.
    #[error("the password hash of the account changed during each check")]
    Changed,
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// No status list entry was available for the new browser session.
    #[error("no status list entry was available")]
    Status(#[from] AllocationError),
    /// The database refused or failed.
    #[error("the change could not be stored")]
    Database(#[from] DbErr),
}

/// Changes the password after checking the current one, and ends all other sessions.
///
/// If `replacement` has a new browser session, this session replaces the session of the request.
/// Otherwise the session of the request continues with its refresh token, because its user knows
/// the password. When this function returns, all other sessions, codes and reset tokens are
/// invalid, and logins in progress with the old password fail (AT-10, PW-07).
///
/// # Errors
/// See [`ReauthenticationError`]. A wrong password is recorded as `login_failed`.
pub async fn change_password(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    replacement: Replacement<'_>,
    now: Timestamp,
) -> Result<(), ReauthenticationError> {
    let change = || async {
        let then = AfterMatch::Replace(replacement.password.clone());
        let (account, hash) =
            confirm(db, hasher, &confirmation, (then, "password_change"), now).await?;
        // The new hash is always present if the password was correct.
        let hash = hash.ok_or(ReauthenticationError::Changed)?;
        let (login, counted) = (confirmation.login, confirmation.admitted.counted());
        let new_login = match &replacement.new_login {
            Some(new) => Some(new.prepare(db, confirmation.origin, now).await?),
            None => None,
        };
        let (mail, origin) = (confirmation.mail.clone(), confirmation.origin.clone());
        let input = (account, Prepared { hash, new_login }, counted, (origin, mail));
        db.urgent()
            .write(input, move |txn, now, (account, new, counted, (origin, mail))| {
                Box::pin(async move {
                    let switch = lock_for_change(txn, account, login, now).await?;
                    replace(txn, (switch, login), account, new, origin, now).await?;
                    mail.send(txn, account, Content::PasswordChanged, origin, now).await?;
                    Ok(counted.refund(txn, now).await?)
                })
            })
            .await
    };
    run_with_retry(db, &confirmation, change).await
}

/// Deletes the account after checking its password, and ends all its sessions.
///
/// # Errors
/// See [`ReauthenticationError`]. A wrong password is recorded as `login_failed`.
pub async fn delete_account(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    now: Timestamp,
) -> Result<(), ReauthenticationError> {
    let delete = || async {
        let purpose = (AfterMatch::Nothing, "account_deletion");
        let (account, _) = confirm(db, hasher, &confirmation, purpose, now).await?;
        let (login, counted) = (confirmation.login, confirmation.admitted.counted());
        let origin = confirmation.origin.clone();
        db.urgent()
            .write((account, counted, origin), move |txn, now, (account, counted, origin)| {
                Box::pin(async move {
                    let switch = lock_for_change(txn, account, login, now).await?;
                    account::delete(txn, switch, account, "by its owner", origin, now).await?;
                    Ok(counted.refund(txn, now).await?)
                })
            })
            .await
    };
    // SQLite's write-ahead log is not truncated here, because the account's sessions are still to
    // be deleted in portions. The last portion truncates it (`session::end_some`).
    run_with_retry(db, &confirmation, delete).await
}

/// Records that the user downloads the data of the account, after checking the password. The caller
/// then reads the data.
///
/// # Errors
/// See [`ReauthenticationError`]. A wrong password is recorded as `login_failed`.
pub async fn admit_download(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    now: Timestamp,
) -> Result<(), ReauthenticationError> {
    let record = || async {
        let purpose = (AfterMatch::Nothing, "data_download");
        let (account, _) = confirm(db, hasher, &confirmation, purpose, now).await?;
        let (login, counted) = (confirmation.login, confirmation.admitted.counted());
        let origin = confirmation.origin.clone();
        db.write((account, counted, origin), move |txn, now, (account, counted, origin)| {
            Box::pin(async move {
                lock_unchanged(txn, account, login, now).await?;
                Event::new(Kind::DataDownloaded)
                    .session(account.id, login.session_id, FIRST_PARTY_CLIENT)
                    .record(txn, origin, now)
                    .await?;
                Ok(counted.refund(txn, now).await?)
            })
        })
        .await
    };
    run_with_retry(db, &confirmation, record).await
}

/// Checks the entered password, and changes nothing. This is for two cases of a form that changes
/// the password: it was submitted again after it had succeeded, or the new password is invalid. In
/// the second case, the page can show all errors at once.
///
/// # Errors
/// See [`ReauthenticationError`]. A wrong password is recorded as `login_failed`.
pub async fn check_password(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    now: Timestamp,
) -> Result<(), ReauthenticationError> {
    let purpose = (AfterMatch::Nothing, "password_change");
    let result = confirm(db, hasher, &confirmation, purpose, now).await;
    if !matches!(result, Err(ReauthenticationError::Refused)) {
        // The attempt is refunded, because users who know their password may try new passwords
        // without limit.
        confirmation.admitted.counted().with_account().refund_without_verdict(db).await;
    }
    result.map(drop)
}

/// Checks the entered password, and records a failure. Returns the account, and the new hash if
/// `then` requires one.
pub(super) async fn confirm(
    db: &Db,
    hasher: &Hasher,
    confirmation: &Confirmation<'_>,
    (then, purpose): (AfterMatch, &'static str),
    now: Timestamp,
) -> Result<(account_row::Model, Option<String>), ReauthenticationError> {
    let Confirmation { login, password, origin, .. } = confirmation;
    let Login { account_id, session_id } = *login;
    let account = session::account_of_live(db, session_id, account_id, now).await?;
    let account = account.ok_or(ReauthenticationError::NotLoggedIn)?;
    let check = Check {
        password: password.clone(),
        stored: account.password_hash.clone(),
        account: &account.email_canonical,
        client: origin.address,
        then,
    };
    if let Verdict::Match { new_hash } = hasher.verify(check).await? {
        return Ok((account, new_hash));
    }
    let event = Event::new(Kind::LogInFailed)
        .session(account_id, session_id, FIRST_PARTY_CLIENT)
        .reason(format!("wrong_password_for_{purpose}"));
    confirmation.admitted.counted().fail(db, event, origin).await?;
    Err(ReauthenticationError::Refused)
}

/// Runs `action`, and runs it again if the account changed meanwhile, but not more than
/// [`MAX_CHECKS`] times. Refunds an attempt that ended without a verdict. If the account changed
/// each time, the password was right each time, so the attempt is also refunded to the window of
/// the account.
pub(super) async fn run_with_retry<F: Future<Output = Result<(), ReauthenticationError>> + Send>(
    db: &Db,
    confirmation: &Confirmation<'_>,
    action: impl Fn() -> F,
) -> Result<(), ReauthenticationError> {
    let mut result = action().await;
    for _ in 1..MAX_CHECKS {
        if !matches!(result, Err(ReauthenticationError::Changed)) {
            break;
        }
        result = action().await;
    }
    let counted = confirmation.admitted.counted();
    match &result {
        Ok(()) | Err(ReauthenticationError::Refused) => {}
        Err(ReauthenticationError::Changed) => {
            counted.with_account().refund_without_verdict(db).await;
        }
        Err(
            ReauthenticationError::NotLoggedIn
            | ReauthenticationError::Hashing(_)
            | ReauthenticationError::Status(_)
            | ReauthenticationError::Database(_),
        ) => counted.refund_without_verdict(db).await,
    }
    result
}

/// Blocks refreshes of the account's sessions, and then locks the account and the session of the
/// request, so that neither changes before the commit. A concurrent login that has already
/// checked the old password waits for this lock, and then finds another hash or no account.
pub(super) async fn lock_for_change(
    txn: &impl ConnectionTrait,
    account: &account_row::Model,
    login: Login,
    now: Timestamp,
) -> Result<KillSwitch, ReauthenticationError> {
    let switch = KillSwitch::lock(txn, account.id).await?;
    lock_unchanged(txn, account, login, now).await?;
    Ok(switch)
}

/// Locks the account and the session of the request. Fails if the session has ended, or if the
/// stored hash is not the hash that was checked.
async fn lock_unchanged(
    txn: &impl ConnectionTrait,
    account: &account_row::Model,
    login: Login,
    now: Timestamp,
) -> Result<(), ReauthenticationError> {
    let locked = listing::lock_own_session(txn, login, now).await?;
    let locked = locked.ok_or(ReauthenticationError::NotLoggedIn)?;
    if locked.password_hash == account.password_hash {
        Ok(())
    } else {
        Err(ReauthenticationError::Changed)
    }
}

/// A [`Replacement`] whose slow steps are done: hashing, and the preparation of the new browser
/// session.
struct Prepared {
    hash: String,
    new_login: Option<NewSession>,
}

async fn replace(
    txn: &impl ConnectionTrait,
    (switch, login): (KillSwitch, Login),
    account: &account_row::Model,
    new: &Prepared,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    account_row::Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(&new.hash))
        .filter(Column::Id.eq(account.id))
        .exec(txn)
        .await?;
    let except = new.new_login.is_none().then_some(login.session_id);
    let Switched { epoch, .. } =
        switch.end_all(txn, except, EndReason::PasswordChanged, now).await?;
    Event::new(Kind::PasswordChanged)
        .session(account.id, login.session_id, FIRST_PARTY_CLIENT)
        .record(txn, origin, now)
        .await?;
    let Some(new_login) = &new.new_login else { return Ok(()) };
    let account = account_row::Model { session_epoch: epoch, ..account.clone() };
    let event = Event::new(Kind::LogIn).reason("password_change");
    session::start(txn, &account, new_login, event, now).await?;
    let Some(BrowserCookie { digest, previous_digest, .. }) = new_login.cookie.clone() else {
        return Ok(());
    };
    let is_logged_in = true;
    hosted_login::move_pending(txn, (previous_digest, digest), account.id, is_logged_in).await
}
