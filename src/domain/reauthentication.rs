//! What takes the password once more from somebody who is logged in: replacing it, and leaving.
//!
//! Both go the same way: the password is checked outside any transaction, since that takes its time;
//! then one transaction takes hold of the account, which must still be what was checked, and of the
//! session that asks, which must still be live.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::config::TokenSettings;
use crate::database::Db;
use crate::domain::account;
use crate::domain::attempt_limit::{self, Admitted, Counted};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::granted::StatusEntry;
use crate::domain::oauth::hosted_login;
use crate::domain::password::{Check, HashError, Hasher, Password, Then, Verdict};
use crate::domain::session::listing::Login;
use crate::domain::session::{
    self, BrowserCookie, FIRST_PARTY_CLIENT, KillSwitch, NewSession, Switched,
};
use crate::domain::status::{DrawError, StatusEntries};
use crate::entity::account::{self as account_row, Column};
use crate::entity::session::{self as session_row, EndReason};
use crate::timestamp::Timestamp;

/// Somebody who is logged in, and what they typed.
pub struct Confirmation<'a> {
    /// The login that asks.
    pub login: Login,
    /// What is to be the account's password.
    pub password: Password,
    /// It keeps to the limits.
    pub admitted: Admitted,
    /// Where the wish came from.
    pub origin: &'a Origin,
}

/// What is to be the password from now on.
#[derive(Clone)]
pub struct Replacement<'a> {
    /// It has passed the policy.
    pub password: Password,
    /// How the one who asks goes on, if that is in a browser; else as before.
    pub new_login: Option<NewLogin<'a>>,
}

/// A login in the place of a browser's: the cookie of the old one may be in other hands, too.
#[derive(Clone)]
pub struct NewLogin<'a> {
    /// Where its status comes from.
    pub entries: &'a StatusEntries,
    /// How long it lasts.
    pub settings: &'a TokenSettings,
    /// What stands for it.
    pub cookie: BrowserCookie,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The login that asks has ended, or its account is disabled or gone.
    #[error("the session has ended")]
    NotLoggedIn,
    /// The password is not the account's.
    #[error("the password is not right")]
    Refused,
    /// The password was replaced while it was checked, perhaps only by a better hash of itself.
    #[error("the account has changed meanwhile")]
    Changed,
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// There was no entry of a status list for the new login.
    #[error("the session has no status")]
    Status(#[from] DrawError),
    /// The database refused or failed.
    #[error("the change could not be stored")]
    Database(#[from] DbErr),
}

/// Replaces the password of whoever knows the current one, and ends all other sessions.
///
/// The session that asks goes on, with its refresh token: it is the one that knew the password. Or it
/// ends, too, and a new login takes its place, as `replacement` says. What the old password opened
/// elsewhere, or was about to, has ended once this returns, and reset tokens are void (AT-10, PW-07).
///
/// # Errors
/// See [`ConfirmError`]; a wrong password is recorded as `login_failed`.
pub async fn change_password(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    replacement: Replacement<'_>,
    now: Timestamp,
) -> Result<(), ConfirmError> {
    let attempt = async || {
        let then = Then::Replace(replacement.password.clone());
        let (account, hash) =
            confirm(db, hasher, &confirmation, (then, "password_change"), now).await?;
        // There is one whenever the password was right.
        let hash = hash.ok_or(ConfirmError::Changed)?;
        let new = Prepared::of(&replacement, hash, db, now).await?;
        let (login, counted) = (confirmation.login, confirmation.admitted.counted());
        let origin = confirmation.origin.clone();
        db.urgent()
            .write(
                (account, new, counted, origin),
                move |txn, now, (account, new, counted, origin)| {
                    Box::pin(async move {
                        let switch = hold(txn, account, login, now).await?;
                        replace(txn, (switch, login), account, new, origin, now).await?;
                        Ok(attempt_limit::give_back(txn, counted, now).await?)
                    })
                },
            )
            .await
    };
    let result = match attempt().await {
        Err(ConfirmError::Changed) => attempt().await,
        result => result,
    };
    conclude(db, confirmation.admitted.counted(), result).await
}

/// Deletes the account of whoever knows its password, and ends all its sessions.
///
/// # Errors
/// See [`ConfirmError`]; a wrong password is recorded as `login_failed`.
pub async fn delete_account(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    now: Timestamp,
) -> Result<(), ConfirmError> {
    let attempt = async || {
        let purpose = (Then::Nothing, "account_deletion");
        let (account, _) = confirm(db, hasher, &confirmation, purpose, now).await?;
        let (login, counted) = (confirmation.login, confirmation.admitted.counted());
        let origin = confirmation.origin.clone();
        db.urgent()
            .write((account, counted, origin), move |txn, now, (account, counted, origin)| {
                Box::pin(async move {
                    let switch = hold(txn, account, login, now).await?;
                    account::delete(txn, switch, account.id, "by its owner", origin, now).await?;
                    Ok(attempt_limit::give_back(txn, counted, now).await?)
                })
            })
            .await
    };
    // What is left in the write-ahead log goes with the rest (`session::end_some`): while that is written,
    // it could not be truncated, and the request would wait for it.
    let result = match attempt().await {
        Err(ConfirmError::Changed) => attempt().await,
        result => result,
    };
    conclude(db, confirmation.admitted.counted(), result).await
}

/// Whether what was typed is the password by now, as of a change that was done a moment ago.
///
/// # Errors
/// See [`ConfirmError`]; a wrong password is recorded as `login_failed`.
pub async fn check_password(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    now: Timestamp,
) -> Result<(), ConfirmError> {
    let purpose = (Then::Nothing, "password_change");
    let result = confirm(db, hasher, &confirmation, purpose, now).await;
    if !matches!(result, Err(ConfirmError::Refused)) {
        // It was no attempt at a password: whoever knows theirs may look for a new one as often as they like.
        let counted = confirmation.admitted.counted().with_account();
        attempt_limit::give_back_unjudged(db, counted).await;
    }
    result.map(drop)
}

/// The account, if what was typed is its password, with the new hash if one was to be made; otherwise
/// the failure is on record.
async fn confirm(
    db: &Db,
    hasher: &Hasher,
    confirmation: &Confirmation<'_>,
    (then, purpose): (Then, &'static str),
    now: Timestamp,
) -> Result<(account_row::Model, Option<String>), ConfirmError> {
    let Confirmation { login, password, origin, .. } = confirmation;
    let Login { account_id, session_id } = *login;
    let account = session::account_of_live(db, session_id, account_id, now).await?;
    let account = account.ok_or(ConfirmError::NotLoggedIn)?;
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
    let input = ((*origin).clone(), confirmation.admitted.counted());
    db.write(input, move |txn, now, (origin, counted)| {
        Box::pin(async move {
            Event::new(Kind::LogInFailed)
                .account(account_id)
                .session(session_id, FIRST_PARTY_CLIENT)
                .email_digest(counted.email_digest())
                .reason(format!("wrong_password_for_{purpose}"))
                .record(txn, origin, now)
                .await?;
            attempt_limit::keep(txn, counted, now).await
        })
    })
    .await?;
    Err(ConfirmError::Refused)
}

/// Gives an attempt back that got no verdict.
async fn conclude(
    db: &Db,
    counted: Counted,
    result: Result<(), ConfirmError>,
) -> Result<(), ConfirmError> {
    if result.as_ref().is_err_and(|error| !matches!(error, ConfirmError::Refused)) {
        attempt_limit::give_back_unjudged(db, counted).await;
    }
    result
}

/// Locks the account, refreshes of its sessions included, and then the session, so that both stay what
/// they are until the commit: a login under way on the same password waits, or is waited for.
async fn hold(
    txn: &impl ConnectionTrait,
    account: &account_row::Model,
    login: Login,
    now: Timestamp,
) -> Result<KillSwitch, ConfirmError> {
    let switch = KillSwitch::lock(txn, account.id).await?;
    let unchanged = account_row::Entity::find_by_id(account.id)
        .select_only()
        .column(Column::Id)
        .filter(Column::DisabledAt.is_null())
        .filter(Column::PasswordHash.eq(account.password_hash.clone()))
        .lock_exclusive()
        .into_tuple::<Uuid>()
        .one(txn)
        .await?;
    unchanged.ok_or(ConfirmError::Changed)?;
    let live = session_row::Entity::find_by_id(login.session_id)
        .filter(session_row::Entity::live(now))
        .lock_exclusive()
        .one(txn)
        .await?;
    live.map(|_| switch).ok_or(ConfirmError::NotLoggedIn)
}

/// A [`Replacement`] after all that takes its time.
#[derive(Clone)]
struct Prepared {
    hash: String,
    login: Option<PreparedLogin>,
}

#[derive(Clone)]
struct PreparedLogin {
    status: StatusEntry,
    settings: TokenSettings,
    cookie: BrowserCookie,
}

impl Prepared {
    async fn of(
        replacement: &Replacement<'_>,
        hash: String,
        db: &Db,
        now: Timestamp,
    ) -> Result<Self, ConfirmError> {
        let Some(new) = &replacement.new_login else { return Ok(Self { hash, login: None }) };
        let status = new.entries.draw(db, now).await?;
        let (settings, cookie) = (new.settings.clone(), new.cookie.clone());
        Ok(Self { hash, login: Some(PreparedLogin { status, settings, cookie }) })
    }
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
    let except = new.login.is_none().then_some(login.session_id);
    let Switched { epoch, .. } =
        switch.end_all(txn, except, EndReason::PasswordChanged, now).await?;
    Event::new(Kind::PasswordChanged)
        .account(account.id)
        .session(login.session_id, FIRST_PARTY_CLIENT)
        .record(txn, origin, now)
        .await?;
    match &new.login {
        Some(new) => {
            let account = account_row::Model { session_epoch: epoch, ..account.clone() };
            take_over(txn, account, new, origin, now).await
        }
        None => Ok(()),
    }
}

/// Begins the login that takes the place of the one that asked.
async fn take_over(
    txn: &impl ConnectionTrait,
    account: account_row::Model,
    new: &PreparedLogin,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let PreparedLogin { status, settings, cookie } = new;
    let session = NewSession {
        account_id: account.id,
        email: account.email_claims(),
        epoch: account.session_epoch,
        status: *status,
        cookie: Some(cookie.clone()),
    };
    let granted = session::start(txn, session, settings, origin, now).await?;
    Event::new(Kind::LogIn)
        .reason("password_change")
        .account(account.id)
        .session(granted.session_id, &granted.client_id)
        .record(txn, origin, now)
        .await?;
    let BrowserCookie { digest, previous_digest } = cookie.clone();
    hosted_login::move_waiting(txn, (previous_digest, digest), account.id, true).await
}
