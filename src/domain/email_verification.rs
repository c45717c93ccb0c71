//! Verification of an email address: a mail with a link and a code, which the user of a new account
//! gets at sign-up or requests later.
//!
//! Only a device that has proved to know the password can request the mail: it has signed up, is
//! logged in, or sends the password. The code of the mail works only on this device. So if a
//! stranger signs up with the address of another person, this person cannot verify the stranger's
//! account by requesting a code ([`email_confirmation`](crate::domain::email_confirmation)).

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QuerySelect};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::attempt_limit::Admitted;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{self, Challenge, LIFE, Purpose};
use crate::domain::id;
use crate::domain::mail::{ChallengeMail, Content, MailQueue, Recipient};
use crate::domain::password::{AfterMatch, Check, HashError, Hasher, Password, Verdict};
use crate::domain::pending_sign_up;
use crate::domain::session;
use crate::entity::account;
use crate::timestamp::Timestamp;

/// The verification that a sign-up begins.
#[derive(Clone)]
pub struct Verification {
    /// Queues the mail.
    pub mail: MailQueue,
    /// The digest of a secret of the device that signs up. Only this device may use the code.
    pub device_digest: Vec<u8>,
    /// What the user gets before the address is verified.
    pub until_then: UntilVerified,
}

/// What a new user gets before the address is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntilVerified {
    /// An account and its first session.
    Session,
    /// An account without a session.
    Account,
    /// Nothing: the verification creates the account, so that the sign-up does not reveal whether
    /// the address has one ([`pending_sign_up`]).
    Nothing,
}

/// Why a mail could not be requested.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The hashing pool refused or failed.
    #[error("the password could not be checked")]
    Hashing(#[from] HashError),
    /// The database refused or failed.
    #[error("the mail could not be queued")]
    Database(#[from] DbErr),
}

/// Queues the mail to a new account, within the transaction that creates it.
///
/// # Errors
/// If the database refuses.
pub async fn begin(
    txn: &impl ConnectionTrait,
    verification: &Verification,
    account: &account::Model,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let mail = mail_to(Some(account), account.id, &verification.device_digest, origin, now);
    verification.mail.send_challenge(txn, mail, origin, now).await.map(drop)
}

/// A request for another mail.
pub struct Request<'a> {
    /// The account whose password the device has proved to know, or the id of a pending sign-up of
    /// the device. A random id if the device has proved nothing: then the same rows are written,
    /// and no mail is sent.
    pub account_id: Uuid,
    /// The digest of a secret of the requesting device. Only this device may use the code.
    pub device_digest: Vec<u8>,
    /// Proof that the request is within the attempt limits.
    pub admitted: Admitted,
    /// Where the request came from.
    pub origin: &'a Origin,
}

/// Queues another mail, which voids the previous one. If the address is verified, or gets too many
/// mails, nothing is sent.
///
/// # Errors
/// If the database refuses.
pub async fn request(db: &Db, mail: &MailQueue, request: Request<'_>) -> Result<(), DbErr> {
    let Request { account_id, device_digest, admitted, origin } = request;
    let email_digest = admitted.counted().email_digest();
    let input = (device_digest, email_digest, origin.clone(), mail.clone());
    db.write(input, move |txn, now, (device_digest, email_digest, origin, mail)| {
        Box::pin(async move {
            let sign_up = (account_id, device_digest.as_slice());
            if pending_sign_up::send_again(txn, mail, sign_up, origin, now).await? {
                return Ok(());
            }
            // Locked, so that the mail is not sent to an address that the account no longer has.
            let account = account::Entity::find_by_id(account_id).lock_exclusive().one(txn).await?;
            let account = account.filter(is_to_be_verified);
            let letter = mail_to(account.as_ref(), account_id, device_digest, origin, now);
            if !mail.send_challenge(txn, letter, origin, now).await? {
                return Ok(());
            }
            let event = Event::new(Kind::EmailVerificationRequested);
            let event = event.account(account.map(|it| it.id)).email_digest(email_digest.clone());
            event.record(txn, origin, now).await
        })
    })
    .await
}

/// An address and the password of its account.
pub struct Credentials<'a> {
    /// The address.
    pub email: &'a Email,
    /// The password entered.
    pub password: Password,
    /// Proof that the attempt is within the attempt limits.
    pub admitted: Admitted,
}

/// As [`request`], for a device that sends the password. Neither the result nor its time reveals
/// whether the password is right.
///
/// # Errors
/// See [`RequestError`].
pub async fn request_with_password(
    db: &Db,
    hasher: &Hasher,
    mail: &MailQueue,
    credentials: Credentials<'_>,
    (device_digest, origin): (Vec<u8>, &Origin),
    now: Timestamp,
) -> Result<(), RequestError> {
    let Credentials { email, password, admitted } = credentials;
    let account = session::find_account(db, email).await?;
    let check = Check {
        password,
        stored: account.as_ref().and_then(|account| account.password_hash.clone()),
        account: email.key(),
        client: origin.address,
        then: AfterMatch::Nothing,
    };
    let is_right = hasher.verify(check).await? != Verdict::Mismatch;
    let account_id = account.map(|account| account.id);
    if is_right {
        admitted.counted().refund_without_verdict(db).await;
    } else {
        let event = Event::new(Kind::LogInFailed).account(account_id);
        let event = event.reason("wrong_password_for_email_verification");
        admitted.counted().fail(db, event, origin).await?;
    }
    let account_id = account_id.filter(|_| is_right).unwrap_or_else(|| id::new(now));
    Ok(request(db, mail, Request { account_id, device_digest, admitted, origin }).await?)
}

/// Whether this device has just signed up with the address, and has not verified it yet. If so, a
/// sign-up form of the device has been sent twice.
///
/// # Errors
/// If the database refuses.
pub async fn has_just_signed_up(
    db: &Db,
    email: &Email,
    device_digest: Vec<u8>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let purposes = [Purpose::VerifyEmail];
    let challenge = email_challenge::find_by_device(db, &purposes, device_digest, now).await?;
    let Some(challenge) = challenge else { return Ok(false) };
    let account = session::find_account(db, email).await?;
    Ok(account.is_some_and(|account| account.id == challenge.account_id))
}

/// Whether a mail can verify the address of the account.
#[must_use]
pub fn is_to_be_verified(account: &account::Model) -> bool {
    account.is_enabled() && !account.email_ambiguous && account.email_verified_at.is_none()
}

/// The mail to an account. Without an account, the mail is queued but never sent.
fn mail_to(
    account: Option<&account::Model>,
    account_id: Uuid,
    device_digest: &[u8],
    origin: &Origin,
    now: Timestamp,
) -> ChallengeMail {
    let expires_at = now.plus(LIFE);
    ChallengeMail {
        challenge: Challenge {
            account_id,
            purpose: Purpose::VerifyEmail,
            device_digest: device_digest.to_vec(),
            expires_at,
            new_email: None,
            password_hash: None,
            invite_digest: None,
        },
        email: match account {
            Some(account) => Email::of_account(&account.email_canonical),
            None => Email::of_account(&account_id.to_string()),
        },
        to: account.map(|account| (account.id, Recipient::of(account, origin))),
        content: match account {
            Some(_) => Content::VerifyEmail { expires_at },
            None => Content::Nothing,
        },
    }
}
