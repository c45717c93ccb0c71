//! Sign-ups that wait for a confirmation by mail, if a sign-up must not reveal whether its address
//! has an account (`SIGNET_SIGNUP_REVEALS_EXISTING=false`).
//!
//! A sign-up does not look for an account. It stores a challenge with the address and the hash of
//! the password, and queues a mail. So the response, its time and the stored rows do not depend on
//! accounts. When the mail is sent, [`mail_of`] decides what it contains: the link and the code for
//! a new user, or a notice for the owner of an account. The account is created by the confirmation
//! (`email_confirmation`), so no sign-up reserves an address.

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{self, Challenge, LIFE, Purpose};
use crate::domain::id;
use crate::domain::language::Language;
use crate::domain::mail::{ChallengeMail, Content, MailQueue, QueuedMail, Recipient};
use crate::domain::session;
use crate::timestamp::Timestamp;

/// A sign-up that passed all checks that do not depend on accounts.
#[derive(Clone)]
pub struct PendingSignUp {
    /// The address.
    pub email: Email,
    /// The keyed digest of the address, for the audit log.
    pub email_digest: Option<Vec<u8>>,
    /// The hash of the password.
    pub password_hash: Option<String>,
    /// The digest of the invite, if there is one.
    pub invite_digest: Option<Vec<u8>>,
    /// The digest of a secret that the device of the sign-up has. Only this device may use the
    /// code.
    pub device_digest: Vec<u8>,
    /// Queues the mail.
    pub mail: MailQueue,
}

/// Stores a sign-up and queues its mail, within the caller's transaction. If the address gets too
/// many mails, none is queued. The sign-up is stored nevertheless: otherwise the next page would
/// reveal that others have recently requested mails to the address.
///
/// # Errors
/// If the database refuses.
pub async fn store(
    txn: &impl ConnectionTrait,
    sign_up: &PendingSignUp,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let challenge = Challenge {
        account_id: id::new(now),
        purpose: Purpose::SignUp,
        device_digest: sign_up.device_digest.clone(),
        expires_at: now.plus(LIFE),
        new_email: Some(sign_up.email.spelling().to_owned()),
        password_hash: sign_up.password_hash.clone(),
        invite_digest: sign_up.invite_digest.clone(),
    };
    let queued = (challenge.clone(), &sign_up.email);
    if !send(txn, &sign_up.mail, queued, origin, now).await? {
        email_challenge::replace(txn, challenge).await?;
    }
    let event = Event::new(Kind::SignUpRequested).email_digest(sign_up.email_digest.clone());
    event.record(txn, origin, now).await
}

/// Queues another mail for the sign-up with this id, if the sign-up waits for a confirmation and
/// began on this device. The new mail voids the previous one. If the address gets too many mails,
/// none is queued, and the previous one stays valid. Returns false if there is no such sign-up.
///
/// # Errors
/// If the database refuses.
pub async fn send_again(
    txn: &impl ConnectionTrait,
    mail: &MailQueue,
    (id, device_digest): (Uuid, &[u8]),
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let found = email_challenge::newest(txn, id, Purpose::SignUp).await?;
    let found = found.filter(|it| it.device_digest == device_digest && it.expires_at > now);
    let Some(challenge) = found else { return Ok(false) };
    let email = challenge.new_email.as_deref().and_then(|it| Email::parse(it).ok());
    let Some(email) = email else { return Ok(false) };
    let challenge = Challenge { expires_at: now.plus(LIFE), ..challenge };
    send(txn, mail, (challenge, &email), origin, now).await?;
    Event::new(Kind::SignUpRequested).record(txn, origin, now).await?;
    Ok(true)
}

/// As [`MailQueue::send_challenge`], for the mail of a sign-up.
async fn send(
    txn: &impl ConnectionTrait,
    mail: &MailQueue,
    (challenge, email): (Challenge, &Email),
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let recipient = Recipient::without_account(email.spelling(), origin.language);
    let letter = ChallengeMail {
        email: email.clone(),
        to: Some((challenge.account_id, recipient)),
        content: Content::SignUp { expires_at: challenge.expires_at },
        challenge,
    };
    mail.send_challenge(txn, letter, origin, now).await
}

/// The mail to send for a queued mail. If the address of a sign-up has an account, the mail becomes
/// a notice to the address as the account spells it. Returns `None` if no mail is sent: the account
/// is disabled or was created by this sign-up, or the address cannot be parsed. Mails that do not
/// belong to a sign-up are not changed.
///
/// # Errors
/// If the database refuses.
pub async fn mail_of(db: &Db, mail: QueuedMail) -> Result<Option<QueuedMail>, DbErr> {
    let Content::SignUp { .. } = mail.content else { return Ok(Some(mail)) };
    let Ok(email) = Email::parse(&mail.to) else { return Ok(None) };
    let Some(owner) = session::find_account(db, &email).await? else { return Ok(Some(mail)) };
    if !owner.is_enabled() || owner.id == mail.account_id {
        return Ok(None);
    }
    let language = Language::of_account(&owner).unwrap_or(mail.language);
    let content = Content::AddressInUse;
    Ok(Some(QueuedMail { account_id: owner.id, to: owner.email, language, content, ..mail }))
}
