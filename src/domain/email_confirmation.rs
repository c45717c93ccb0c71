//! The link and the code in a mail to an address. Their user proves control of the address.
//!
//! A link may be opened by someone who did not create the account: an attacker signs up with the
//! address of another person, who then gets the mail. If opening the link verified the address, the
//! attacker would have an account with the verified address of this person. So the link alone does
//! nothing. It must be used on the device that requested the mail, or by a user who is logged in to
//! the account or knows its password. Or its user sets a new password, which ends all sessions
//! (ID-03). A link that confirms a new address does not permit a new password: it goes to an
//! address that the account does not have yet.
//!
//! The link of a pending sign-up ([`pending_sign_up`](crate::domain::pending_sign_up)) follows the
//! same rules with the account that it would create, and creates it.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::account::{self as account_rules, NewAccount, SignUpError};
use crate::domain::attempt_limit::Admitted;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{self, Challenge, EmailTokens, Purpose, Secrets};
use crate::domain::keys::LimitKey;
use crate::domain::mail::{Content, MailQueue};
use crate::domain::password::{AfterMatch, Check, HashError, Hasher, Password, Verdict};
use crate::domain::password_reset::{self, Permit, Reset, ResetError};
use crate::domain::repeated_form::{self, FormDigest};
use crate::domain::session;
use crate::entity::account::{self, Column};
use crate::timestamp::Timestamp;

/// Why an address was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The link or the code is wrong, expired, used, or void. All causes share one variant, so that
    /// clients cannot distinguish them (EN-07).
    #[error("the link or the code is not valid")]
    Rejected,
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// The database refused or failed.
    #[error("the confirmation could not be stored")]
    Database(#[from] DbErr),
}

/// A link that is valid at present.
#[derive(Clone)]
pub struct Link {
    account: account::Model,
    challenge: Challenge,
}

/// A link whose user has proved to be the user of the account.
pub struct Proven(Link);

impl Link {
    /// The link with this token. `None` if it is not valid. Changes nothing, because mail scanners
    /// open links.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn find(
        db: &Db,
        tokens: &EmailTokens,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Self>, DbErr> {
        let Some((purpose, presented)) = tokens.decode(token) else { return Ok(None) };
        let (id, expires_at) = (presented.id, Timestamp::from_micros(presented.number));
        if expires_at <= now {
            return Ok(None);
        }
        let challenge = email_challenge::find(db, id, purpose, expires_at).await?;
        let Some(challenge) = challenge else { return Ok(None) };
        let Some(account) = account_of(db, &challenge).await? else { return Ok(None) };
        let is_valid = tokens.verify_token(presented, &account, &challenge);
        Ok(is_valid.then_some(Self { account, challenge }))
    }

    /// The address of the account.
    #[must_use]
    pub fn email(&self) -> Email {
        Email::of_account(&self.account.email_canonical)
    }

    /// The new address, if the link confirms a change of the address.
    #[must_use]
    pub fn new_email(&self) -> Option<&str> {
        let is_change = self.challenge.purpose == Purpose::ChangeEmail;
        self.challenge.new_email.as_deref().filter(|_| is_change)
    }

    /// Whether the link confirms a sign-up, and creates the account.
    #[must_use]
    pub fn is_sign_up(&self) -> bool {
        self.challenge.purpose == Purpose::SignUp
    }

    /// Accepts the link if its user has the device that requested the mail, or is logged in to the
    /// account. `device_digest` is the digest of the secret of the user's device, and `account_id`
    /// the account to which the user is logged in.
    ///
    /// # Errors
    /// The link itself, if neither is the case.
    pub fn prove(
        self,
        device_digest: &[u8],
        account_id: Option<Uuid>,
    ) -> Result<Proven, Box<Self>> {
        let is_of_device = self.challenge.device_digest == device_digest;
        if is_of_device || account_id == Some(self.account.id) {
            Ok(Proven(self))
        } else {
            Err(Box::new(self))
        }
    }

    /// Checks the password of the account.
    ///
    /// # Errors
    /// See [`ConfirmError`]. A wrong password is recorded as `login_failed`.
    pub async fn prove_by_password(
        self,
        db: &Db,
        hasher: &Hasher,
        (password, admitted): (Password, Admitted),
        origin: &Origin,
    ) -> Result<Proven, ConfirmError> {
        let check = Check {
            password,
            stored: self.account.password_hash.clone(),
            account: &self.account.email_canonical,
            client: origin.address,
            then: AfterMatch::Nothing,
        };
        if hasher.verify(check).await? == Verdict::Mismatch {
            let account_id = (!self.is_sign_up()).then_some(self.account.id);
            let event = Event::new(Kind::LogInFailed).account(account_id);
            let event = event.reason(match self.new_email() {
                Some(_) => "wrong_password_for_email_change",
                None => "wrong_password_for_email_verification",
            });
            admitted.counted().fail(db, event, origin).await?;
            return Err(ConfirmError::WrongPassword);
        }
        admitted.counted().refund_without_verdict(db).await;
        Ok(Proven(self))
    }
}

/// What was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// The address of the account is verified.
    Address,
    /// The account has a new address, which is verified.
    NewAddress,
    /// The account with this id was created, and its address is verified.
    Account(Uuid),
}

/// Confirms the address with a link, once. `mail` queues the notice to the old address. `form` is
/// the form of a page, `None` at the JSON API.
///
/// # Errors
/// See [`ConfirmError`]; then nothing has changed.
pub async fn confirm(
    db: &Db,
    proven: Proven,
    (mail, origin, form): (&MailQueue, &Origin, Option<FormDigest>),
) -> Result<Confirmed, ConfirmError> {
    store(db, proven.0, (mail, origin, form)).await
}

/// Confirms the address with a code, once, on the device that requested the mail.
///
/// # Errors
/// See [`ConfirmError`]; then nothing has changed.
pub async fn confirm_by_code(
    db: &Db,
    tokens: &EmailTokens,
    limit_key: &LimitKey,
    (device_digest, code): (Vec<u8>, &str),
    (mail, origin, form): (&MailQueue, &Origin, Option<FormDigest>),
    now: Timestamp,
) -> Result<Confirmed, ConfirmError> {
    let purposes = [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::SignUp];
    let challenge = email_challenge::find_by_device(db, &purposes, device_digest, now).await?;
    let challenge = challenge.ok_or(ConfirmError::Rejected)?;
    let account = account_of(db, &challenge).await?;
    let is_right =
        account.as_ref().is_some_and(|account| tokens.verify_code(code, account, &challenge));
    if !email_challenge::admit_code(db, limit_key, &challenge, is_right).await? {
        return Err(ConfirmError::Rejected);
    }
    let account = account.ok_or(ConfirmError::Rejected)?;
    store(db, Link { account, challenge }, (mail, origin, form)).await
}

/// Sets a new password with a link, once, and verifies the address. All sessions end, so an
/// attacker who signed up with the address of another person loses all access. The link of a
/// sign-up creates the account with this password.
///
/// # Errors
/// See [`ResetError`]; then nothing has changed.
pub async fn set_password(
    db: &Db,
    hasher: &Hasher,
    link: Link,
    reset: Reset<'_>,
) -> Result<(), ResetError> {
    let Link { account, challenge } = link.clone();
    // The link of a change goes to an address that may belong to another person.
    match challenge.purpose {
        Purpose::VerifyEmail => {}
        Purpose::SignUp => return create_with_password(db, hasher, link, reset).await,
        Purpose::ChangeEmail | Purpose::ResetPassword => return Err(ResetError::Rejected),
    }
    let permit = Permit::Challenge(challenge);
    password_reset::set_password(db, hasher, (account, permit), reset).await
}

/// The secrets of a mail. `None` if they are void.
///
/// # Errors
/// See [`ResetError`].
pub async fn secrets(
    db: &Db,
    tokens: &EmailTokens,
    account_id: Uuid,
    (purpose, expires_at): (Purpose, Timestamp),
) -> Result<Option<Secrets>, ResetError> {
    let challenge = email_challenge::find(db, account_id, purpose, expires_at).await?;
    let Some(challenge) = challenge else { return Ok(None) };
    let Some(account) = account_of(db, &challenge).await? else { return Ok(None) };
    Ok(tokens.secrets(&account, &challenge)?)
}

/// The account of a challenge, if it is enabled. For a sign-up, the account that the challenge will
/// create.
async fn account_of(db: &Db, challenge: &Challenge) -> Result<Option<account::Model>, DbErr> {
    match challenge.purpose {
        Purpose::SignUp => Ok(account_rules::row_of_sign_up(challenge)),
        Purpose::VerifyEmail | Purpose::ChangeEmail | Purpose::ResetPassword => {
            password_reset::find_enabled(db, challenge.account_id).await
        }
    }
}

/// Creates the account of a sign-up with another password than that of the sign-up.
async fn create_with_password(
    db: &Db,
    hasher: &Hasher,
    link: Link,
    reset: Reset<'_>,
) -> Result<(), ResetError> {
    let Reset { password, policy, origin, mail, form, .. } = reset;
    let weaknesses = account_rules::weaknesses(policy, &password, &link.email());
    if !weaknesses.is_empty() {
        return Err(ResetError::Weak(weaknesses));
    }
    let password_hash = Some(hasher.hash(password, origin.address).await?);
    let Link { account, challenge } = link;
    let account = account::Model { password_hash, ..account };
    store(db, Link { account, challenge }, (mail, origin, form)).await.map_err(
        |error| match error {
            ConfirmError::Rejected | ConfirmError::WrongPassword => ResetError::Rejected,
            ConfirmError::Hashing(error) => error.into(),
            ConfirmError::Database(error) => error.into(),
        },
    )?;
    Ok(())
}

async fn store(
    db: &Db,
    link: Link,
    (mail, origin, form): (&MailQueue, &Origin, Option<FormDigest>),
) -> Result<Confirmed, ConfirmError> {
    let input = (link, mail.clone(), origin.clone(), form);
    db.write(input, |txn, now, (link, mail, origin, form)| {
        Box::pin(async move {
            let Link { account, challenge } = link;
            let confirmed = match (challenge.purpose, challenge.new_email.as_deref()) {
                (Purpose::SignUp, _) => create(txn, account, challenge, origin, now).await?,
                (_, None) => mark_verified(txn, account, origin, now).await?,
                (_, Some(new_email)) => {
                    change_address(txn, (account, new_email), mail, origin, now).await?
                }
            };
            // Of concurrent uses, only one finds the challenge. The others are rolled back.
            let is_first = email_challenge::spend(txn, challenge).await?;
            repeated_form::record(txn, form.as_ref(), now).await?;
            if is_first { Ok(confirmed) } else { Err(ConfirmError::Rejected) }
        })
    })
    .await
}

/// Creates the account of a sign-up, if its address is still free and its invite still valid.
async fn create(
    txn: &DatabaseTransaction,
    account: &account::Model,
    challenge: &Challenge,
    origin: &Origin,
    now: Timestamp,
) -> Result<Confirmed, ConfirmError> {
    let invite_digest = challenge.invite_digest.clone();
    let new = NewAccount::confirmed(account.clone(), invite_digest, origin, now);
    match account_rules::create(txn, &new, now).await {
        Ok(_) => Ok(Confirmed::Account(account.id)),
        Err(SignUpError::Hashing(error)) => Err(error.into()),
        Err(SignUpError::Database(error)) => Err(error.into()),
        Err(SignUpError::EmailExists | SignUpError::InvalidInvite | SignUpError::Status(_)) => {
            Err(ConfirmError::Rejected)
        }
    }
}

/// Gives the account its new address, if neither the old address nor the password has changed since
/// the secret was checked. Voids links and codes that were sent to the old address, and queues a
/// notice to this address. Sessions continue.
async fn change_address(
    txn: &DatabaseTransaction,
    (account, new_email): (&account::Model, &str),
    mail: &MailQueue,
    origin: &Origin,
    now: Timestamp,
) -> Result<Confirmed, ConfirmError> {
    let email = Email::parse(new_email).map_err(|_| ConfirmError::Rejected)?;
    let folded = email.folded().ok_or(ConfirmError::Rejected)?;
    let locked = session::lock_account(txn, account.id).await?;
    let is_same = |locked: &account::Model| {
        let state = (&locked.email, &locked.password_hash, locked.is_enabled());
        state == (&account.email, &account.password_hash, true)
    };
    let locked = locked.filter(is_same).ok_or(ConfirmError::Rejected)?;
    let changed = account_rules::set_address(txn, locked.id, (&email, folded), Some(now)).await;
    changed.map_err(|error| {
        // Another account may have got the address meanwhile.
        let is_taken = account_rules::is_address_taken(&error);
        if is_taken { ConfirmError::Rejected } else { ConfirmError::Database(error) }
    })?;
    account::Entity::update_many()
        // This invalidates earlier reset tokens, because none of them has this expiry.
        .col_expr(Column::ResetExpiresAt, Expr::value(now))
        .filter(Column::Id.eq(locked.id))
        .exec(txn)
        .await?;
    for purpose in [Purpose::ResetPassword, Purpose::VerifyEmail] {
        email_challenge::void(txn, locked.id, purpose).await?;
    }
    mail.send(txn, &locked, Content::EmailChanged, origin, now).await?;
    for kind in [Kind::EmailChanged, Kind::EmailVerified] {
        Event::new(kind).account(locked.id).record(txn, origin, now).await?;
    }
    Ok(Confirmed::NewAddress)
}

/// Marks the address as verified, if neither the address nor the password has changed since the
/// secret was checked.
async fn mark_verified(
    txn: &impl ConnectionTrait,
    account: &account::Model,
    origin: &Origin,
    now: Timestamp,
) -> Result<Confirmed, ConfirmError> {
    let is_same_password = match &account.password_hash {
        Some(hash) => Column::PasswordHash.eq(hash),
        None => Column::PasswordHash.is_null(),
    };
    let verified_at = account.email_verified_at.unwrap_or(now);
    let update = account::Entity::update_many()
        .col_expr(Column::EmailVerifiedAt, Expr::value(verified_at))
        .filter(Column::Id.eq(account.id))
        .filter(Column::DisabledAt.is_null())
        .filter(Column::EmailAmbiguous.eq(false))
        .filter(Column::Email.eq(&account.email))
        .filter(is_same_password);
    if update.exec(txn).await?.rows_affected != 1 {
        return Err(ConfirmError::Rejected);
    }
    if account.email_verified_at.is_none() {
        let event = Event::new(Kind::EmailVerified).account(account.id);
        event.record(txn, origin, now).await?;
    }
    Ok(Confirmed::Address)
}
