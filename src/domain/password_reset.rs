//! Password reset for the owner of an account's email address.
//!
//! Reset tokens are not stored but computed. A token contains an HMAC over the account, the expiry
//! and the current password hash. Each change of the password, including the use of the token,
//! changes the hash and so invalidates the token. No table of used tokens is needed.

use std::time::Duration;

use openssl::error::ErrorStack;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::account;
use crate::domain::attempt_limit::{self, Admitted, AttemptKey};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{self, Challenge};
use crate::domain::keys::{ComputedTokens, LimitKey, MacKey};
use crate::domain::mail::{Content, MailQueue};
use crate::domain::password::{HashError, Hasher, Password, Policy, Weakness};
use crate::domain::repeated_form::{self, FormDigest};
use crate::domain::session::{self, KillSwitch};
use crate::entity::account::{self as account_row, Column};
use crate::entity::session::EndReason;
use crate::timestamp::Timestamp;

/// The lifetime of a token.
pub const LIFE: Duration = Duration::from_mins(30);

/// Creates and parses reset tokens with keys derived from the master key.
pub struct ResetTokens(ComputedTokens);

impl ResetTokens {
    /// Takes the keys, the current key first.
    #[must_use]
    pub const fn new(keys: Vec<MacKey>) -> Self {
        Self(ComputedTokens::new("sgp_", keys))
    }

    /// The token of an account and an expiry.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn token(
        &self,
        account: &account_row::Model,
        expires_at: Timestamp,
    ) -> Result<String, ErrorStack> {
        self.0.encode(account.id, expires_at.as_micros(), &context(account))
    }

    /// The code of an account and an expiry, for one device.
    ///
    /// # Errors
    /// If OpenSSL fails, which happens only when memory is exhausted.
    pub fn code(
        &self,
        account: &account_row::Model,
        expires_at: Timestamp,
        device_digest: &[u8],
    ) -> Result<String, ErrorStack> {
        let context = [&context(account), device_digest].concat();
        self.0.code(account.id, expires_at.as_micros(), &context)
    }

    /// Whether the code that the user typed is that of this account, expiry and device.
    #[must_use]
    pub fn verify_code(
        &self,
        typed: &str,
        account: &account_row::Model,
        expires_at: Timestamp,
        device_digest: &[u8],
    ) -> bool {
        let context = [&context(account), device_digest].concat();
        self.0.verify_code(typed, account.id, expires_at.as_micros(), &context)
    }
}

/// What the HMAC of a token covers in addition to the content of the token: a digest of the
/// password hash.
fn context(account: &account_row::Model) -> [u8; 32] {
    openssl::sha::sha256(account.password_hash.as_deref().unwrap_or_default().as_bytes())
}

/// Why a token was not created or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// No account has the address, or the account is disabled.
    #[error(
        "there is no account with this address, or it is disabled (see `signet account show`); \
         enable it first: a disabled account gets no new password"
    )]
    NoAccount,
    /// The token is forged, expired, already used, or invalidated by a newer token or another
    /// change of the password. All causes share one variant, so that clients cannot distinguish
    /// them.
    #[error("the reset token is not valid")]
    Rejected,
    /// The new password breaks the policy. The token stays valid.
    #[error("the new password is too weak")]
    Weak(Vec<Weakness>),
    /// OpenSSL failed.
    #[error("the reset token could not be computed")]
    Token(#[from] ErrorStack),
    /// The hashing pool refused or failed.
    #[error("the password could not be hashed")]
    Hashing(#[from] HashError),
    /// The database refused or failed.
    #[error("the new password could not be stored")]
    Database(#[from] DbErr),
}

/// Creates a token for the account of `email`, and invalidates older tokens. The caller must
/// deliver the token to this mailbox only.
///
/// # Errors
/// See [`ResetError`].
pub async fn request(
    db: &Db,
    tokens: &ResetTokens,
    email: &Email,
    origin: &Origin,
    now: Timestamp,
) -> Result<String, ResetError> {
    let found = session::find_account(db, email).await?;
    let account = found.filter(account_row::Model::is_enabled).ok_or(ResetError::NoAccount)?;
    let expires_at = now.plus(LIFE);
    let token = tokens.token(&account, expires_at)?;

    let (id, origin) = (account.id, origin.clone());
    db.write(origin, move |txn, now, origin| {
        Box::pin(async move {
            account_row::Entity::update_many()
                .col_expr(Column::ResetExpiresAt, Expr::value(expires_at))
                .filter(Column::Id.eq(id))
                .exec(txn)
                .await?;
            Event::new(Kind::PasswordResetRequested).account(id).record(txn, origin, now).await
        })
    })
    .await?;
    Ok(token)
}

/// A new password, and what is needed to set it.
pub struct Reset<'a> {
    /// The new password.
    pub password: Password,
    /// The policy for the password.
    pub policy: Policy,
    /// Computes the key of the account's attempt window, which a reset deletes.
    pub limit_key: &'a LimitKey,
    /// Proof that the attempt is within the attempt limits.
    pub admitted: Admitted,
    /// Where the request came from.
    pub origin: &'a Origin,
    /// Queues the notice to the owner.
    pub mail: &'a MailQueue,
    /// The form of a page. `None` at the JSON API.
    pub form: Option<FormDigest>,
}

/// The account with this id, if it is enabled.
///
/// # Errors
/// If the database refuses.
pub async fn find_enabled(db: &Db, id: Uuid) -> Result<Option<account_row::Model>, DbErr> {
    let found = account_row::Entity::find_by_id(id);
    let account = db.read(|db| async move { found.one(&db).await }).await?;
    Ok(account.filter(account_row::Model::is_enabled))
}

/// Sets a new password, once per token. After that, only the owner of the mailbox has access.
///
/// All sessions end, and the old password becomes invalid. So an attacker who signed up with
/// another person's address loses all access when this person resets the password. No session is
/// started.
///
/// # Errors
/// See [`ResetError`]; then nothing has changed.
pub async fn redeem(
    db: &Db,
    hasher: &Hasher,
    (tokens, token): (&ResetTokens, &str),
    reset: Reset<'_>,
    now: Timestamp,
) -> Result<(), ResetError> {
    let presented = tokens.0.decode(token).ok_or(ResetError::Rejected)?;
    let (id, expires_at) = (presented.id, Timestamp::from_micros(presented.number));
    if expires_at <= now {
        return Err(ResetError::Rejected);
    }
    let account = find_enabled(db, id).await?;
    let account = account
        .filter(|it| tokens.0.verify(presented, &context(it)))
        .filter(|account| account.reset_expires_at.is_none_or(|newest| newest == expires_at))
        .ok_or(ResetError::Rejected)?;
    set_password(db, hasher, (account, Permit::ResetToken(expires_at)), reset).await
}

/// What permits a user to set a new password. Setting the password uses up the permit.
#[derive(Debug, Clone)]
pub enum Permit {
    /// A verified reset token, or its code, with this expiry.
    ResetToken(Timestamp),
    /// The challenge of a verified link.
    Challenge(Challenge),
}

/// Sets a new password after its permit was verified.
///
/// # Errors
/// See [`ResetError`]; then nothing has changed.
pub async fn set_password(
    db: &Db,
    hasher: &Hasher,
    (account, permit): (account_row::Model, Permit),
    reset: Reset<'_>,
) -> Result<(), ResetError> {
    let Reset { password, policy, limit_key, origin, mail, form, .. } = reset;
    let email = Email::of_account(&account.email_canonical);
    let weaknesses = account::weaknesses(policy, &password, &email);
    if !weaknesses.is_empty() {
        return Err(ResetError::Weak(weaknesses));
    }
    let hash = hasher.hash(password, origin.address).await?;

    // The attempt window is deleted, because failed guesses of other people must not prevent the
    // owner from logging in with the new password.
    let window = AttemptKey::of_account(limit_key, &email);
    let input = ((account, permit), hash, (window, form), (origin.clone(), mail.clone()));
    db.urgent()
        .write(input, move |txn, now, ((account, permit), hash, (window, form), (origin, mail))| {
            Box::pin(async move {
                replace(txn, account, (permit, hash), origin, now).await?;
                mail.send(txn, account, Content::PasswordChanged, origin, now).await?;
                repeated_form::record(txn, form.as_ref(), now).await?;
                Ok(attempt_limit::forget(txn, window).await?)
            })
        })
        .await
}

/// Stores the new hash. Of two concurrent uses of the token, only one finds the old hash. A token
/// that was requested later invalidates this token.
///
/// If the account's row contains no expiry of a reset token, a token with any expiry is accepted.
/// During an upgrade, an instance of a previous version may have issued the token, and previous
/// versions do not store the expiry.
async fn replace(
    txn: &impl ConnectionTrait,
    account: &account_row::Model,
    (permit, hash): (&Permit, &str),
    origin: &Origin,
    now: Timestamp,
) -> Result<(), ResetError> {
    let switch = KillSwitch::lock(txn, account.id).await?;
    let is_old_hash = match &account.password_hash {
        Some(old) => Column::PasswordHash.eq(old),
        None => Column::PasswordHash.is_null(),
    };
    let is_newest = match permit {
        Permit::ResetToken(expires_at) => Condition::any()
            .add(Column::ResetExpiresAt.is_null())
            .add(Column::ResetExpiresAt.eq(*expires_at)),
        // The challenge is used up below.
        Permit::Challenge(_) => Condition::all(),
    };
    let mut update = account_row::Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(hash))
        .col_expr(Column::ResetExpiresAt, Expr::value(None::<Timestamp>))
        .filter(is_newest)
        .filter(Column::Id.eq(account.id))
        .filter(Column::DisabledAt.is_null())
        .filter(Column::Email.eq(&account.email))
        .filter(is_old_hash);
    // If the address is ambiguous, the token does not prove which account belongs to the owner.
    let is_verified_now = account.email_verified_at.is_none() && !account.email_ambiguous;
    if is_verified_now {
        update = update.col_expr(Column::EmailVerifiedAt, Expr::value(now));
    }
    if update.exec(txn).await?.rows_affected != 1 {
        return Err(ResetError::Rejected);
    }
    if let Permit::Challenge(challenge) = permit
        && !email_challenge::spend(txn, challenge).await?
    {
        return Err(ResetError::Rejected);
    }
    switch.end_all(txn, None, EndReason::PasswordReset, now).await?;
    Event::new(Kind::PasswordReset).account(account.id).record(txn, origin, now).await?;
    if is_verified_now {
        Event::new(Kind::EmailVerified).account(account.id).record(txn, origin, now).await?;
    }
    Ok(())
}
