//! Accounts that an operator creates, and an operator's changes to the password and the address of
//! an account. The sign-up policy does not apply to them.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::account;
use crate::domain::administration::{OperatorError, complete_end_of_sessions, lock, record};
use crate::domain::audit::{Kind, Origin};
use crate::domain::email::Email;
use crate::domain::mail::{Content, MailQueue};
use crate::entity::account::{Column, Entity};
use crate::entity::session::EndReason;

/// An account that an operator creates.
#[derive(Clone)]
pub struct NewAccount {
    /// The address, which new accounts may have ([`Email::parse`]).
    pub email: Email,
    /// The password hash. Without one, the owner needs a reset token.
    pub password_hash: Option<String>,
    /// Whether the operator knows that the owner of the account controls the address.
    pub is_verified: bool,
}

/// Creates an account, and returns its id.
///
/// # Errors
/// [`OperatorError::EmailExists`] or a database error; then nothing is stored.
pub async fn create(db: &Db, new: NewAccount) -> Result<Uuid, OperatorError> {
    db.write(new, |txn, now, new| {
        Box::pin(async move {
            let mut row = account::new_row(&new.email, new.password_hash.clone(), now);
            row.email_verified_at = new.is_verified.then_some(now);
            account::insert(txn, &row).await.map_err(address_error)?;
            record(txn, Kind::SignUp, row.id, now).await?;
            if new.is_verified {
                record(txn, Kind::EmailVerified, row.id, now).await?;
            }
            Ok(row.id)
        })
    })
    .await
}

/// Invalidates the password of an account, and ends all its sessions. Its owner can log in again
/// after a password reset. Returns the number of sessions that ended.
///
/// # Errors
/// See [`OperatorError`]. If the password was invalidated before the error, it stays invalid.
pub async fn require_reset(db: &Db, id: Uuid) -> Result<u64, OperatorError> {
    let urgent = db.urgent();
    let ended_at = urgent.write((), move |txn, now, ()| {
        Box::pin(async move {
            let (switch, account) = lock(txn, id).await?;
            if account.password_hash.is_some() {
                set(txn, id, Column::PasswordHash, Expr::value(None::<String>)).await?;
                record(txn, Kind::PasswordResetRequired, id, now).await?;
            }
            // This also invalidates earlier reset tokens.
            switch.end_all(txn, None, EndReason::Revoked, now).await?;
            Ok::<_, OperatorError>(now)
        })
    });
    complete_end_of_sessions(db, id, ended_at.await?).await
}

/// Changes the address of an account, and ends all its sessions, as a change of the password does.
/// Reset tokens that were sent to the old address become invalid. Returns the number of sessions
/// that ended. `mail` queues a notice to the old address.
///
/// `is_verified` says whether the operator knows that the owner of the account controls the new
/// address. If not, the new address is not verified.
///
/// # Errors
/// See [`OperatorError`]. If the address was changed before the error, it stays changed.
pub async fn set_email(
    db: &Db,
    id: Uuid,
    email: Email,
    is_verified: bool,
    mail: &MailQueue,
) -> Result<u64, OperatorError> {
    let urgent = db.urgent();
    let ended_at = urgent.write((email, mail.clone()), move |txn, now, (email, mail)| {
        Box::pin(async move {
            let (switch, account) = lock(txn, id).await?;
            if account.email_canonical == email.address() && !account.email_ambiguous {
                return Err(OperatorError::SameAddress);
            }
            let folded = email.folded().ok_or(OperatorError::UnusableAddress)?;
            let verified_at = is_verified.then_some(now);
            account::set_address(txn, id, (email, folded), verified_at)
                .await
                .map_err(address_error)?;
            switch.end_all(txn, None, EndReason::Revoked, now).await?;
            record(txn, Kind::EmailChanged, id, now).await?;
            mail.send(txn, &account, Content::EmailChanged, &Origin::default(), now).await?;
            if is_verified {
                record(txn, Kind::EmailVerified, id, now).await?;
            }
            Ok::<_, OperatorError>(now)
        })
    });
    complete_end_of_sessions(db, id, ended_at.await?).await
}

/// Marks the address of an account as verified, because the operator knows that the owner of the
/// account controls the address. Does not change an address that is already verified.
///
/// # Errors
/// See [`OperatorError`]; then nothing is changed.
pub async fn verify_email(db: &Db, id: Uuid) -> Result<(), OperatorError> {
    db.write((), move |txn, now, ()| {
        Box::pin(async move {
            let (_, account) = lock(txn, id).await?;
            if account.email_ambiguous {
                return Err(OperatorError::Ambiguous);
            }
            if account.email_verified_at.is_none() {
                set(txn, id, Column::EmailVerifiedAt, Expr::value(now)).await?;
                record(txn, Kind::EmailVerified, id, now).await?;
            }
            Ok(())
        })
    })
    .await
}

async fn set(
    txn: &impl ConnectionTrait,
    id: Uuid,
    column: Column,
    value: Expr,
) -> Result<(), DbErr> {
    let update = Entity::update_many().col_expr(column, value).filter(Column::Id.eq(id));
    update.exec(txn).await.map(drop)
}

fn address_error(error: DbErr) -> OperatorError {
    if account::is_address_taken(&error) {
        OperatorError::EmailExists
    } else {
        OperatorError::Database(error)
    }
}
