//! Challenges that are mailed: a link, which works on any device, and a code, which works only on
//! the device that asked for it.
//!
//! Neither is stored. Both are computed from the id and the state of the account and from the
//! expiry, with keys derived from the master key
//! ([`ComputedTokens`](crate::domain::keys::ComputedTokens)). A row stores the expiry of the newest
//! challenge, and the digest of the device's secret.
//!
//! Per account and purpose, at most five wrong codes may be tried in 30 minutes. Further codes are
//! refused, but links still work. So an attacker can neither guess a code nor lock out the owner.

mod tokens;

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
};
use uuid::Uuid;

use crate::database::{Db, Purged, delete_expired};
use crate::domain::attempt_limit::{AttemptKey, CodeAttempts};
use crate::domain::keys::LimitKey;
use crate::entity::email_challenge::{ActiveModel, Column, Entity};
use crate::timestamp::Timestamp;

pub use crate::entity::email_challenge::{Model as Challenge, Purpose};
pub use tokens::{EmailKeys, EmailTokens, Secrets};

/// The lifetime of a link and of a code.
pub const LIFE: Duration = Duration::from_mins(30);

/// Makes a challenge the newest of its account and purpose. The older challenge becomes void. Must
/// run in the transaction that queues the mail.
///
/// # Errors
/// If the database refuses.
pub async fn replace(txn: &impl ConnectionTrait, challenge: Challenge) -> Result<(), DbErr> {
    let replace = OnConflict::columns([Column::AccountId, Column::Purpose])
        .update_columns([
            Column::DeviceDigest,
            Column::ExpiresAt,
            Column::NewEmail,
            Column::PasswordHash,
            Column::InviteDigest,
        ])
        .to_owned();
    Entity::insert(ActiveModel::from(challenge).reset_all())
        .on_conflict(replace)
        .exec_without_returning(txn)
        .await
        .map(drop)
}

/// The challenge with this expiry, if it is the newest of the account for this purpose.
///
/// # Errors
/// If the database refuses.
pub async fn find(
    db: &Db,
    account_id: Uuid,
    purpose: Purpose,
    expires_at: Timestamp,
) -> Result<Option<Challenge>, DbErr> {
    let found = Entity::find_by_id((account_id, purpose)).filter(Column::ExpiresAt.eq(expires_at));
    db.read(|db| async move { found.one(&db).await }).await
}

/// The newest challenge of an account for a purpose, even if the challenge has expired.
///
/// # Errors
/// If the database refuses.
pub async fn newest(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    purpose: Purpose,
) -> Result<Option<Challenge>, DbErr> {
    Entity::find_by_id((account_id, purpose)).one(txn).await
}

/// The newest unexpired challenge of a device, for any of these purposes.
///
/// # Errors
/// If the database refuses.
pub async fn find_by_device(
    db: &Db,
    purposes: &[Purpose],
    device_digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<Challenge>, DbErr> {
    let found = Entity::find()
        .filter(Column::DeviceDigest.eq(device_digest))
        .filter(Column::Purpose.is_in(purposes.iter().copied()))
        .filter(Column::ExpiresAt.gt(now))
        .order_by_desc(Column::ExpiresAt);
    db.read(|db| async move { found.one(&db).await }).await
}

/// Decides whether a code may be used. `is_right` says whether it is the code of the challenge. A
/// wrong code is counted and refused. After too many wrong codes, a right code is refused, too.
///
/// # Errors
/// If the database refuses.
pub async fn admit_code(
    db: &Db,
    key: &LimitKey,
    challenge: &Challenge,
    is_right: bool,
) -> Result<bool, DbErr> {
    // Part of stored keys, so these names never change.
    let name = match challenge.purpose {
        Purpose::ResetPassword => "reset_password",
        Purpose::VerifyEmail => "verify_email",
        Purpose::ChangeEmail => "change_email",
        Purpose::SignUp => "sign_up",
    };
    let attempts = CodeAttempts::of(AttemptKey::of_code(key, name, challenge.account_id));
    db.write(attempts, move |txn, now, attempts| {
        Box::pin(async move { attempts.admit(txn, is_right, now).await })
    })
    .await
}

/// Uses up a challenge. Must run in the transaction of the action that the challenge permits. Of
/// concurrent calls, only one returns true.
///
/// # Errors
/// If the database refuses.
pub async fn spend(txn: &impl ConnectionTrait, challenge: &Challenge) -> Result<bool, DbErr> {
    let spent = Entity::delete_by_id((challenge.account_id, challenge.purpose))
        .filter(Column::ExpiresAt.eq(challenge.expires_at));
    Ok(spent.exec(txn).await?.rows_affected == 1)
}

/// Voids all links and codes of an account, by deleting its challenges. To prevent deadlocks, the
/// caller must have locked the account's row before, as all transactions that store a challenge do.
///
/// # Errors
/// If the database refuses.
pub async fn void_all(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::AccountId.eq(account_id)).exec(txn).await.map(drop)
}

/// As [`void_all`], only for the link and the code for one purpose.
///
/// # Errors
/// If the database refuses.
pub async fn void(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    purpose: Purpose,
) -> Result<(), DbErr> {
    Entity::delete_by_id((account_id, purpose)).exec(txn).await.map(drop)
}

/// Deletes expired challenges.
///
/// # Errors
/// If the database refuses.
pub async fn purge(db: &Db) -> Result<Purged, DbErr> {
    delete_expired::<Entity>(db, Column::ExpiresAt, db.retention_now()).await
}
