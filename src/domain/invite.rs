//! Invites: an operator permits one email address, of any domain, to sign up. An invite cannot be
//! used while sign-up is closed (`SIGNET_SIGNUP`).
//!
//! An invite is a token, of which only the digest is stored. It is bound to the folded form of its
//! address, expires, and permits one sign-up: the transaction that creates the account deletes the
//! invite. The token of a printed invite is random. The token of a mailed invite is computed when
//! the mail is sent, so that the row of the mail does not contain it.

use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::database::{Db, Purged, delete_all, delete_expired};
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::email::Email;
use crate::domain::id;
use crate::domain::keys::{ComputedTokens, MacKey};
use crate::domain::language::Language;
use crate::domain::mail::{Content, MailQueue, Recipient};
use crate::domain::secret::{self, Secret};
use crate::entity::account;
use crate::entity::invite::{ActiveModel, Column, Entity, Model};
use crate::timestamp::Timestamp;

/// Identifies an invite to people and secret scanners. Never changes.
const PREFIX: &str = "sgi_";

/// The row of an invite. `http` and `cli` use this name, because they may not import entities.
pub type Row = Model;

/// A new invite.
pub struct Issued {
    /// The token, which cannot be shown again later. `None` if it is sent by mail.
    pub token: Option<String>,
    /// The row.
    pub row: Row,
}

/// How the invited person gets the link.
pub enum Delivery {
    /// The operator sends the link.
    Printed,
    /// By mail.
    Mailed {
        /// Computes the token.
        tokens: Arc<InviteTokens>,
        /// Queues the mail.
        mail: MailQueue,
        /// The language of the mail.
        language: Language,
    },
}

/// Computes the tokens of mailed invites, with keys derived from the master key.
pub struct InviteTokens(ComputedTokens);

impl InviteTokens {
    /// Takes the keys, the current key first.
    #[must_use]
    pub const fn new(keys: Vec<MacKey>) -> Self {
        Self(ComputedTokens::new(PREFIX, keys))
    }

    fn token(&self, row: &Row) -> Result<String, ErrorStack> {
        self.0.encode(row.id, row.expires_at.as_micros(), row.email_folded.as_bytes())
    }

    /// The token whose digest is stored, whichever of the keys was the current one when the invite
    /// was created. `None` if the token of no key has this digest.
    fn stored_token(&self, row: &Row) -> Result<Option<String>, ErrorStack> {
        let (number, context) = (row.expires_at.as_micros(), row.email_folded.as_bytes());
        let tokens = self.0.encode_with_each(row.id, number, context)?;
        Ok(tokens.into_iter().find(|token| secret::digest(token) == row.digest))
    }
}

/// The token of a mailed invite.
pub enum TokenToMail {
    /// The token.
    Token(String),
    /// The invite was used, revoked or replaced, or has expired.
    Void,
    /// This instance does not have the key with which the token was computed: the master key was
    /// rotated, and either this instance has not restarted yet, or the old key was removed.
    UnknownKey,
}

/// How a command names an invite.
#[derive(Debug, Clone)]
pub enum Named {
    /// By its id.
    Id(Uuid),
    /// By the invited address.
    Address(Email),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// The address has an account.
    #[error("an account with this address exists")]
    EmailExists,
    /// New accounts cannot have this address.
    #[error("new accounts cannot have this address")]
    Unusable,
    /// The address gets too many mails.
    #[error("this address got too many mails in the last hour or day: print the link (--print)")]
    TooManyMails,
    /// There is no such invite.
    #[error("there is no such invite: it was used, revoked or replaced, or it has expired")]
    NoInvite,
    /// OpenSSL failed.
    #[error("the random generator failed: {0}")]
    Random(#[from] ErrorStack),
    /// The database refused or failed.
    #[error("the database refused or failed: {0}")]
    Database(#[from] DbErr),
}

/// Invites an address. The invite expires after `life`. Replaces an earlier invite of the address.
///
/// # Errors
/// See [`InviteError`].
pub async fn create(
    db: &Db,
    email: &Email,
    life: Duration,
    delivery: Delivery,
) -> Result<Issued, InviteError> {
    let secret = Secret::generate(PREFIX)?;
    let (token, mailing) = match delivery {
        Delivery::Printed => (Some(secret.text), None),
        Delivery::Mailed { tokens, mail, language } => (None, Some((tokens, mail, language))),
    };
    let input = (email.clone(), secret.digest, mailing);
    let row = db.write(input, move |txn, now, (email, digest, mailing)| {
        Box::pin(async move {
            let mut row = new_row(email, digest.clone(), life, now)?;
            if let Some((tokens, _, _)) = mailing {
                row.digest = secret::digest(&tokens.token(&row)?);
                row.mailed_at = Some(now);
            }
            insert(txn, email, &row, now).await?;
            if let Some((_, mail, language)) = mailing {
                queue(txn, mail, (email, *language), &row, now).await?;
            }
            Ok::<_, InviteError>(row)
        })
    });
    Ok(Issued { token, row: row.await? })
}

fn new_row(
    email: &Email,
    digest: Vec<u8>,
    life: Duration,
    now: Timestamp,
) -> Result<Row, InviteError> {
    Ok(Model {
        id: id::new(now),
        digest,
        email: email.spelling().to_owned(),
        email_folded: email.folded().ok_or(InviteError::Unusable)?.to_owned(),
        created_at: now,
        expires_at: now.plus(life),
        mailed_at: None,
    })
}

async fn insert(
    txn: &DatabaseTransaction,
    email: &Email,
    row: &Row,
    now: Timestamp,
) -> Result<(), InviteError> {
    let taken = account::Entity::find_by_address(email.address(), email.folded());
    if taken.one(txn).await?.is_some() {
        return Err(InviteError::EmailExists);
    }
    let replace = OnConflict::column(Column::EmailFolded)
        .update_columns([
            Column::Id,
            Column::Digest,
            Column::Email,
            Column::CreatedAt,
            Column::ExpiresAt,
            Column::MailedAt,
        ])
        .to_owned();
    Entity::insert(ActiveModel::from(row.clone()).reset_all())
        .on_conflict(replace)
        .exec_without_returning(txn)
        .await?;
    Ok(record(txn, Kind::InviteCreated, row.id, now).await?)
}

/// Queues the mail with the link, to the address as the operator typed it.
async fn queue(
    txn: &DatabaseTransaction,
    mail: &MailQueue,
    (email, language): (&Email, Language),
    row: &Row,
    now: Timestamp,
) -> Result<(), InviteError> {
    let content = Content::Invite { expires_at: row.expires_at };
    if !mail.admit(txn, &content, (email, None), &Origin::default(), now).await? {
        return Err(InviteError::TooManyMails);
    }
    let recipient = Recipient::without_account(&row.email, language);
    Ok(mail.enqueue(txn, row.id, recipient, content, now).await?)
}

/// Computes the token of a mailed invite.
///
/// # Errors
/// If the database refuses.
pub async fn token_to_mail(
    db: &Db,
    tokens: &InviteTokens,
    id: Uuid,
    now: Timestamp,
) -> Result<TokenToMail, DbErr> {
    let found = Entity::find_by_id(id);
    let found = db.read(|db| async move { found.one(&db).await }).await?;
    let Some(row) = found.filter(|row| row.expires_at > now) else { return Ok(TokenToMail::Void) };
    let token = tokens.stored_token(&row).map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(token.map_or(TokenToMail::UnknownKey, TokenToMail::Token))
}

/// The invited address in lower case, for display.
#[must_use]
pub fn address_of(row: &Row) -> String {
    let parsed = Email::parse_known(&row.email);
    parsed.map_or_else(|_| row.email.clone(), |email| email.address().to_owned())
}

/// Whether the use of an invite proves control of the address of this account: the invite was
/// mailed, and to this address. Addresses that fold alike are one account, but may be different
/// mailboxes.
pub(super) fn proves_control(row: &Row, email_canonical: &str) -> bool {
    row.mailed_at.is_some() && address_of(row) == email_canonical
}

/// The first `count` invites after the id `after` that have not expired, in the order of creation.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db, after: Option<Uuid>, count: u64) -> Result<Vec<Row>, DbErr> {
    let page = Entity::find()
        .filter(Column::ExpiresAt.gt(db.clock().now()))
        .apply_if(after, |page, id| page.filter(Column::Id.gt(id)))
        .order_by_asc(Column::Id)
        .limit(count);
    db.read(|db| async move { page.all(&db).await }).await
}

/// Revokes an invite, and returns its row.
///
/// # Errors
/// See [`InviteError`].
pub async fn revoke(db: &Db, named: Named) -> Result<Row, InviteError> {
    db.write(named, |txn, now, named| {
        Box::pin(async move {
            let found = match named {
                Named::Id(id) => Entity::find_by_id(*id),
                Named::Address(email) => Entity::find().filter(Column::EmailFolded.eq(email.key())),
            };
            let found = found.one(txn).await?.filter(|row| row.expires_at > now);
            let row = found.ok_or(InviteError::NoInvite)?;
            if !delete(txn, &row).await? {
                return Err(InviteError::NoInvite);
            }
            record(txn, Kind::InviteRevoked, row.id, now).await?;
            Ok(row)
        })
    })
    .await
}

/// The invite with this token, if it has not expired.
///
/// # Errors
/// If the database refuses.
pub async fn find(db: &Db, token: &str, now: Timestamp) -> Result<Option<Row>, DbErr> {
    find_by_digest(db, secret::digest(token), now).await
}

/// As [`find`], by the digest of the token.
pub(super) async fn find_by_digest(
    db: &Db,
    digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<Row>, DbErr> {
    let found = Entity::find().filter(Column::Digest.eq(digest));
    let found = db.read(|db| async move { found.one(&db).await }).await?;
    Ok(found.filter(|row| row.expires_at > now))
}

/// Uses up the invite with this digest, within the transaction that creates the account. Returns
/// its row, or `None` if the invite is not valid for the address with this folded form. Of
/// concurrent uses, only one gets the row.
///
/// # Errors
/// If the database refuses.
pub(super) async fn redeem(
    txn: &impl ConnectionTrait,
    digest: &[u8],
    email_folded: &str,
    now: Timestamp,
) -> Result<Option<Row>, DbErr> {
    let found = Entity::find().filter(Column::Digest.eq(digest)).one(txn).await?;
    let is_valid = |row: &Row| row.expires_at > now && row.email_folded == email_folded;
    let Some(row) = found.filter(is_valid) else { return Ok(None) };
    Ok(delete(txn, &row).await?.then_some(row))
}

/// Deletes the invite of an address whose account is deleted.
///
/// # Errors
/// If the database refuses.
pub(super) async fn delete_of(txn: &impl ConnectionTrait, email: &Email) -> Result<(), DbErr> {
    let own = Entity::delete_many().filter(Column::EmailFolded.eq(email.key()));
    own.exec(txn).await.map(drop)
}

/// Deletes an invite. Returns false if it was deleted or replaced meanwhile: a replacement has
/// another id.
async fn delete(txn: &impl ConnectionTrait, row: &Row) -> Result<bool, DbErr> {
    Ok(Entity::delete_by_id(row.id).exec(txn).await?.rows_affected == 1)
}

/// Deletes expired invites.
///
/// # Errors
/// If the database refuses.
pub async fn purge(db: &Db) -> Result<Purged, DbErr> {
    delete_expired::<Entity>(db, Column::ExpiresAt, db.retention_now()).await
}

/// Deletes all invites, because an older copy of the database may contain used and revoked ones.
///
/// # Errors
/// If the database refuses.
pub async fn delete_of_everyone(db: &Db) -> Result<(), DbErr> {
    let all = Column::ExpiresAt.gte(Timestamp::default());
    delete_all::<Entity>(db, all).await.map(drop)
}

async fn record(
    txn: &impl ConnectionTrait,
    kind: Kind,
    id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    Event::new(kind).reason(id.to_string()).record(txn, &Origin::default(), now).await
}
