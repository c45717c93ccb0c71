//! A change of the email address by the owner of an account. It requires the password, and a
//! confirmation at the new address. Until the confirmation, the account has the old address, with
//! which its owner logs in.
//!
//! A request for the address of another account gets the same response in the same time, because it
//! writes the same rows. The owner of the address gets a notice.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use crate::database::Db;
use crate::domain::attempt_limit::Counted;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{Challenge, LIFE, Purpose};
use crate::domain::mail::{ChallengeMail, Content, MailQueue, Recipient};
use crate::domain::password::{AfterMatch, Hasher};
use crate::domain::reauthentication::{
    Confirmation, ReauthenticationError, confirm, lock_for_change, run_with_retry,
};
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::domain::session::listing::Login;
use crate::entity::account;
use crate::timestamp::Timestamp;

/// The new address, and the device that requests the change.
#[derive(Clone)]
pub struct NewAddress {
    /// An address that new accounts may have ([`Email::parse`]), and that the account does not
    /// have.
    pub email: Email,
    /// The digest of the secret of the device that may use the code.
    pub device_digest: Vec<u8>,
}

/// Queues a mail with a link and a code to the new address, after checking the password. If the
/// address gets too many mails, nothing is sent.
///
/// # Errors
/// See [`ReauthenticationError`]. A wrong password is recorded as `login_failed`.
pub async fn request(
    db: &Db,
    hasher: &Hasher,
    confirmation: Confirmation<'_>,
    new: NewAddress,
    now: Timestamp,
) -> Result<(), ReauthenticationError> {
    let request = || async {
        let purpose = (AfterMatch::Nothing, "email_change");
        let (account, _) = confirm(db, hasher, &confirmation, purpose, now).await?;
        let (login, counted) = (confirmation.login, confirmation.admitted.counted());
        let (mail, origin) = (confirmation.mail.clone(), confirmation.origin.clone());
        let input = (account, new.clone(), (login, counted), (origin, mail));
        db.write(input, |txn, now, (account, new, attempt, by)| {
            Box::pin(store(txn, (account, new), attempt, by, now))
        })
        .await
    };
    run_with_retry(db, &confirmation, request).await
}

async fn store(
    txn: &DatabaseTransaction,
    (account, new): (&account::Model, &NewAddress),
    (login, counted): &(Login, Counted),
    (origin, mail): &(Origin, MailQueue),
    now: Timestamp,
) -> Result<(), ReauthenticationError> {
    drop(lock_for_change(txn, account, *login, now).await?);
    if queue(txn, mail, (account, new), origin, now).await? {
        Event::new(Kind::EmailChangeRequested)
            .session(account.id, login.session_id, FIRST_PARTY_CLIENT)
            .record(txn, origin, now)
            .await?;
    }
    Ok(counted.refund(txn, now).await?)
}

/// Queues the mail to the new address, or the notice to the account that has the address. Returns
/// false if the address gets too many mails.
async fn queue(
    txn: &impl ConnectionTrait,
    mail: &MailQueue,
    (account, new): (&account::Model, &NewAddress),
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let NewAddress { email, device_digest } = new;
    let expires_at = now.plus(LIFE);
    let owner = account::Entity::find_by_address(email.address(), email.folded());
    let owner = owner.one(txn).await?.filter(|owner| owner.id != account.id);
    let (to, content) = match &owner {
        None => {
            let recipient = Recipient::at(email.spelling(), account, origin);
            ((account.id, recipient), Content::ChangeEmail { expires_at })
        }
        Some(owner) => ((owner.id, Recipient::of(owner, origin)), Content::AddressInUse),
    };
    let challenge = Challenge {
        account_id: account.id,
        purpose: Purpose::ChangeEmail,
        device_digest: device_digest.clone(),
        expires_at,
        new_email: Some(email.spelling().to_owned()),
        password_hash: None,
        invite_digest: None,
    };
    let letter = ChallengeMail { challenge, email: email.clone(), to: Some(to), content };
    mail.send_challenge(txn, letter, origin, now).await
}
