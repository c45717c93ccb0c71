//! A forgotten password: a user requests a mail with a link and a code, and sets a new password
//! with one of the two.
//!
//! A request for an address without an account, or with a disabled account, gets the same response
//! in the same time, because it writes the same rows. Its mail is never sent.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::attempt_limit::Admitted;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::email_challenge::{self, Challenge, LIFE, Purpose, Secrets};
use crate::domain::id;
use crate::domain::mail::{ChallengeMail, Content, MailQueue, Recipient};
use crate::domain::password::Hasher;
use crate::domain::password_reset::{self, Permit, Reset, ResetError, ResetTokens};
use crate::domain::session;
use crate::entity::account::{self, Column};
use crate::timestamp::Timestamp;

/// A request for a mail.
pub struct Forgotten<'a> {
    /// The address that was entered.
    pub email: &'a Email,
    /// The digest of the secret of the device that may use the code.
    pub device_digest: Vec<u8>,
    /// Proof that the request is within the attempt limits.
    pub admitted: Admitted,
    /// Where the request came from.
    pub origin: &'a Origin,
}

/// Queues a mail with a link and a code to the address of the account. Voids the previous link and
/// code. If the address gets too many mails, does nothing: otherwise a stranger could keep voiding
/// the links of the owner.
///
/// # Errors
/// If the database refuses.
pub async fn request(
    db: &Db,
    mail: &MailQueue,
    forgotten: Forgotten<'_>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let Forgotten { email, device_digest, admitted, origin } = forgotten;
    let account = session::find_account(db, email).await?;
    let account = account.filter(account::Model::is_enabled);
    let known_email = account.as_ref().map(|it| Email::of_account(&it.email_canonical));
    let email_digest = admitted.counted().email_digest();
    let request = Request {
        account_id: account
            .map_or_else(|| id_without_account(email_digest.as_deref(), now), |it| it.id),
        email: known_email.unwrap_or_else(|| email.clone()),
        email_digest,
        device_digest,
        origin: origin.clone(),
        mail: mail.clone(),
    };
    db.write(request, |txn, now, request| Box::pin(request.store(txn, now))).await
}

/// The id in the rows for an address without an account. All requests for an address have the same
/// id, so that a request replaces the row of the previous request, as it does for an account.
fn id_without_account(email_digest: Option<&[u8]>, now: Timestamp) -> Uuid {
    let bytes = email_digest.and_then(|digest| digest.first_chunk());
    bytes.map_or_else(|| id::new(now), |bytes| Uuid::from_bytes(*bytes))
}

/// A request, prepared for its transaction. If the address has no account, the transaction writes
/// the same rows, with an id that no account has.
struct Request {
    account_id: Uuid,
    email: Email,
    email_digest: Option<Vec<u8>>,
    device_digest: Vec<u8>,
    origin: Origin,
    mail: MailQueue,
}

impl Request {
    async fn store(&self, txn: &impl ConnectionTrait, now: Timestamp) -> Result<(), DbErr> {
        let Self { account_id, email, device_digest, origin, mail, .. } = self;
        // The account is locked, so that the mail is not sent to an address that it no longer has.
        let account = account::Entity::find_by_id(*account_id).lock_exclusive().one(txn).await?;
        let account = account.filter(|account| {
            account.is_enabled() && account.has_address(email.address(), email.folded())
        });
        let recipient = account.map(|account| Recipient::of(&account, origin));
        let known_id = recipient.as_ref().map(|_| *account_id);
        let expires_at = now.plus(LIFE);
        let letter = ChallengeMail {
            challenge: Challenge {
                account_id: *account_id,
                purpose: Purpose::ResetPassword,
                device_digest: device_digest.clone(),
                expires_at,
                new_email: None,
                password_hash: None,
                invite_digest: None,
            },
            email: email.clone(),
            content: match recipient {
                Some(_) => Content::ResetPassword { expires_at },
                None => Content::Nothing,
            },
            to: recipient.map(|recipient| (*account_id, recipient)),
        };
        if !mail.send_challenge(txn, letter, origin, now).await? {
            return Ok(());
        }
        account::Entity::update_many()
            .col_expr(Column::ResetExpiresAt, Expr::value(expires_at))
            .filter(Column::Id.eq(*account_id))
            .filter(Column::EmailCanonical.eq(email.address()))
            .filter(Column::DisabledAt.is_null())
            .exec(txn)
            .await?;
        let event = Event::new(Kind::PasswordResetRequested).account(known_id);
        event.email_digest(self.email_digest.clone()).record(txn, origin, now).await
    }
}

/// Computes the secrets of a mail. `None` if they are void: a newer mail was requested, the
/// password was changed, or the account is disabled or deleted.
///
/// # Errors
/// See [`ResetError`].
pub async fn secrets(
    db: &Db,
    tokens: &ResetTokens,
    account_id: Uuid,
    expires_at: Timestamp,
) -> Result<Option<Secrets>, ResetError> {
    let challenge =
        email_challenge::find(db, account_id, Purpose::ResetPassword, expires_at).await?;
    let account = password_reset::find_enabled(db, account_id).await?;
    let account = account.filter(|account| account.reset_expires_at == Some(expires_at));
    let (Some(challenge), Some(account)) = (challenge, account) else { return Ok(None) };
    let token = tokens.token(&account, expires_at)?;
    let code = tokens.code(&account, expires_at, &challenge.device_digest)?;
    Ok(Some(Secrets { token, code }))
}

/// As [`password_reset::redeem`], with a code instead of a token, on the device that requested the
/// code.
///
/// # Errors
/// See [`ResetError`]; then nothing has changed.
pub async fn redeem_code(
    db: &Db,
    hasher: &Hasher,
    tokens: &ResetTokens,
    (device_digest, code): (Vec<u8>, &str),
    reset: Reset<'_>,
    now: Timestamp,
) -> Result<(), ResetError> {
    let purposes = [Purpose::ResetPassword];
    let challenge = email_challenge::find_by_device(db, &purposes, device_digest, now).await?;
    let challenge = challenge.ok_or(ResetError::Rejected)?;
    let expires_at = challenge.expires_at;
    let account = password_reset::find_enabled(db, challenge.account_id).await?;
    let account = account.filter(|account| account.reset_expires_at == Some(expires_at));
    let is_right = account.as_ref().is_some_and(|account| {
        tokens.verify_code(code, account, expires_at, &challenge.device_digest)
    });
    if !email_challenge::admit_code(db, reset.limit_key, &challenge, is_right).await? {
        return Err(ResetError::Rejected);
    }
    let account = account.ok_or(ResetError::Rejected)?;
    let permit = Permit::ResetToken(expires_at);
    password_reset::set_password(db, hasher, (account, permit), reset).await
}
