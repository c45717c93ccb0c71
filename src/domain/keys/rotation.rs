//! The lifecycle of a signing key: pending → active → retiring → removed.
//!
//! 1. A key is generated or imported, and published. It does not sign yet.
//! 2. When the key has been published so long that every cached key set contains it, it becomes
//!    active, and its predecessor stops signing.
//! 3. When every token of the predecessor has expired, the predecessor is removed from the key set.
//!
//! Only the instance that has the lease performs these steps. Other instances see the results at
//! their next reload. Each step is one transaction, and depends only on the time and the rows. So
//! it does not matter which instance performs a step, or whether one crashes between two steps.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter,
    Set, SqlErr,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::Kind;
use crate::domain::keys::error::KeyRingError;
use crate::domain::keys::rows::{any_sealed, mark_revoked, private_jwk, record, write_row};
use crate::domain::keys::schedule::Schedule;
use crate::domain::keys::seal::Sealer;
use crate::domain::keys::{key_pair, replacement};
use crate::entity::signing_key::{Column, Entity, KeyState, Model};
use crate::entity::{lease, signing_key};
use crate::timestamp::Timestamp;

/// Maximum duration of a lease with any settings of any instance.
const LONGEST_LEASE: Duration = Duration::from_hours(24);

/// The name of the `lease` row for keys.
const LEASE: &str = "signing_keys";

/// Creates the first key. No verifier can have cached a key set without it, so it is active
/// immediately. If several instances start on an empty database, one of them creates the key.
///
/// # Errors
/// See [`KeyRingError`].
pub(super) async fn create_first(
    db: &Db,
    sealer: &Sealer,
    bits: u32,
    now: Timestamp,
) -> Result<(), KeyRingError> {
    match insert(db, key_pair::generate(sealer, bits, now)?, None).await {
        // Another instance was first; its key is the first key.
        Err(error) if is_unique_violation(&error) => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// Performs the steps that are due, unless another instance has the lease. Generates the next key
/// when it is due.
///
/// # Errors
/// See [`KeyRingError`]. The next call, on this or another instance, performs the missing steps.
pub async fn advance(
    db: &Db,
    sealer: &Sealer,
    schedule: &Schedule,
    bits: u32,
    holder: Uuid,
) -> Result<(), KeyRingError> {
    let rows = db.read(|db| async move { Entity::find_published().all(&db).await }).await?;
    let times = Times { now: db.clock().now(), retention_now: db.retention_now() };
    if !is_any_step_due(&rows, schedule, times) {
        return Ok(());
    }
    // Generated before the transaction, because this takes a tenth of a second or more.
    let successor = if needs_successor(&rows, schedule, times.retention_now) {
        Some(key_pair::generate(sealer, bits, times.now)?)
    } else {
        None
    };
    let schedule = *schedule;
    db.write(successor, move |txn, now, successor| {
        Box::pin(async move {
            if !take_lease(txn, holder, schedule, now).await? {
                return Ok(());
            }
            let rows = Entity::find_published().all(txn).await?;
            activate_due(txn, &rows, &schedule, now).await?;
            remove_due(txn, &rows, Times { now, ..times }).await?;
            match successor {
                Some(row) if needs_successor(&rows, &schedule, times.retention_now) => {
                    write_row(txn, &pending(row, &schedule, now)).await?;
                    record(txn, Kind::KeyCreated, &row.kid, now).await
                }
                _ => Ok(()),
            }
        })
    })
    .await
    .map_err(|error: DbErr| KeyRingError::Database(error))
}

/// Publishes a new key, which becomes active when every cached key set contains it. Returns its
/// row.
///
/// # Errors
/// [`KeyRingError::Pending`] if there is a pending key already.
pub async fn rotate(
    db: &Db,
    sealer: &Sealer,
    schedule: &Schedule,
    bits: u32,
    now: Timestamp,
) -> Result<Model, KeyRingError> {
    introduce(db, key_pair::generate(sealer, bits, now)?, schedule).await
}

/// As [`rotate`], with an imported key.
///
/// # Errors
/// [`KeyRingError::Import`] if the key is not acceptable.
pub async fn import(
    db: &Db,
    sealer: &Sealer,
    schedule: &Schedule,
    pem: &[u8],
    now: Timestamp,
) -> Result<Model, KeyRingError> {
    introduce(db, key_pair::import(pem, sealer, now)?, schedule).await
}

/// Revokes a compromised key: removes it from the key set immediately. Tokens that the key signed
/// are refused as soon as caches of the key set expire. A key that had already been removed from
/// the key set is no longer accepted for any purpose, such as ID token hints.
///
/// If the key was active, a new key becomes active immediately. Services with a cached key set
/// refuse tokens of the new key until they fetch the key set again.
///
/// # Errors
/// [`KeyRingError::Unknown`] if there is no key with this id, or it was revoked before.
pub async fn revoke(
    db: &Db,
    sealer: &Sealer,
    bits: u32,
    kid: &str,
    now: Timestamp,
) -> Result<(), KeyRingError> {
    let successor = replacement::successor(sealer, bits, now)?;
    let is_revoked = db
        .write((kid.to_owned(), successor), move |txn, now, (kid, successor)| {
            Box::pin(async move {
                let row = Entity::find_by_id(kid).filter(Column::RevokedAt.is_null());
                let Some(row) = row.one(txn).await? else { return Ok(false) };
                let was_active = row.state == KeyState::Active;
                mark_revoked(txn, &row, now).await?;
                record(txn, Kind::KeyRevoked, kid, now).await?;
                if was_active {
                    replacement::introduce(txn, successor, now).await?;
                }
                Ok::<_, DbErr>(true)
            })
        })
        .await?;
    if is_revoked { Ok(()) } else { Err(KeyRingError::Unknown(kid.to_owned())) }
}

/// Encrypts every private key again, with the first master key of the file. Returns the number of
/// private keys.
///
/// # Errors
/// [`KeyRingError::Sealed`] if one of them cannot be decrypted; then nothing is changed.
pub async fn reseal(db: &Db, sealer: &Sealer) -> Result<usize, KeyRingError> {
    let mut resealed = Vec::new();
    let rows = db.read(|db| async move { Entity::find().all(&db).await }).await?;
    for row in rows {
        let jwk = private_jwk(sealer, &row)?;
        resealed.push((row.kid, sealer.seal(&jwk)?));
    }
    let count = resealed.len();
    db.write(resealed, move |txn, _, resealed| {
        Box::pin(async move {
            for (kid, sealed) in resealed {
                Entity::update_many()
                    .col_expr(Column::SealedJwk, Expr::value(sealed))
                    .filter(Column::Kid.eq(kid))
                    .exec(txn)
                    .await?;
            }
            Ok::<_, DbErr>(())
        })
    })
    .await?;
    Ok(count)
}

/// The row of a key that is published at `now`, and becomes active when every cached key set
/// contains it.
fn pending(row: &Model, schedule: &Schedule, now: Timestamp) -> Model {
    let activate_at = Some(now.plus(schedule.publication));
    Model { created_at: now, activate_at, ..row.clone() }
}

/// The row of the first key. It is active immediately, because no verifier can have cached a key
/// set without it.
fn first(row: &Model, now: Timestamp) -> Model {
    let (state, activated_at) = (KeyState::Active, Some(now));
    Model { state, created_at: now, activated_at, ..row.clone() }
}

async fn introduce(db: &Db, row: Model, schedule: &Schedule) -> Result<Model, KeyRingError> {
    let kid = row.kid.clone();
    // Before the first start there is no key, so the imported key becomes active immediately.
    let schedule = any_sealed(db).await?.then_some(*schedule);
    match insert(db, row, schedule).await {
        Err(error) if is_unique_violation(&error) => {
            let rows = db.read(|db| async move { Entity::find_published().all(&db).await }).await?;
            let pending = rows.into_iter().find(|row| row.state == KeyState::Pending);
            Err(KeyRingError::Pending(pending.map_or(kid, |row| row.kid)))
        }
        result => Ok(result?),
    }
}

/// Writes a pending key according to the schedule, or an active key if there is no schedule. The
/// times of the key are those of the transaction. Otherwise a key that had to wait for the database
/// would be published for too short a time.
async fn insert(db: &Db, row: Model, schedule: Option<Schedule>) -> Result<Model, DbErr> {
    db.write(row, move |txn, now, row| {
        Box::pin(async move {
            let row = schedule.map_or_else(|| first(row, now), |it| pending(row, &it, now));
            write_row(txn, &row).await?;
            record(txn, Kind::KeyCreated, &row.kid, now).await?;
            if schedule.is_none() {
                record(txn, Kind::KeyActivated, &row.kid, now).await?;
            }
            Ok(row)
        })
    })
    .await
}

/// The times by which steps are due.
#[derive(Clone, Copy)]
struct Times {
    now: Timestamp,
    /// For steps that cannot be undone: removing a key, or generating a successor. A clock that
    /// jumps ahead must not trigger them.
    retention_now: Timestamp,
}

fn is_any_step_due(rows: &[Model], schedule: &Schedule, times: Times) -> bool {
    needs_successor(rows, schedule, times.retention_now)
        || rows.iter().any(|row| match row.state {
            KeyState::Pending => row.activate_at.is_some_and(|at| at <= times.now),
            KeyState::Retiring => row.remove_at.is_some_and(|at| at <= times.retention_now),
            KeyState::Active | KeyState::Removed => false,
        })
}

fn needs_successor(rows: &[Model], schedule: &Schedule, now: Timestamp) -> bool {
    let active = rows.iter().find(|row| row.state == KeyState::Active);
    let is_due = active
        .and_then(|row| row.activated_at)
        .is_some_and(|activated_at| schedule.is_due(activated_at, now));
    is_due && rows.iter().all(|row| row.state != KeyState::Pending)
}

/// Takes or extends the lease. Returns true if this instance has the lease.
async fn take_lease(
    txn: &impl ConnectionTrait,
    holder: Uuid,
    schedule: Schedule,
    now: Timestamp,
) -> Result<bool, DbErr> {
    // A lease that exceeds the maximum was taken with a clock that was ahead.
    let free = Condition::any()
        .add(lease::Column::Holder.eq(holder))
        .add(lease::Column::ExpiresAt.lte(now))
        .add(lease::Column::ExpiresAt.gt(now.plus(LONGEST_LEASE)));
    let taken = lease::Entity::update_many()
        .col_expr(lease::Column::Holder, Expr::value(holder))
        .col_expr(lease::Column::ExpiresAt, Expr::value(now.plus(schedule.lease)))
        .filter(lease::Column::Name.eq(LEASE))
        .filter(free)
        .exec(txn)
        .await?;
    Ok(taken.rows_affected == 1)
}

/// Activates the pending key if it is due. Retires its predecessor first, because the database
/// allows only one active key.
async fn activate_due(
    txn: &impl ConnectionTrait,
    rows: &[Model],
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), DbErr> {
    let is_due = |row: &&Model| {
        row.state == KeyState::Pending && row.activate_at.is_some_and(|at| at <= now)
    };
    let Some(next) = rows.iter().find(is_due) else { return Ok(()) };
    for row in rows.iter().filter(|row| row.state == KeyState::Active) {
        let remove_at = now.plus(schedule.retention);
        move_to(txn, row, KeyState::Retiring, now, Some(remove_at)).await?;
        record(txn, Kind::KeyRetired, &row.kid, now).await?;
    }
    move_to(txn, next, KeyState::Active, now, None).await?;
    record(txn, Kind::KeyActivated, &next.kid, now).await
}

async fn remove_due(txn: &impl ConnectionTrait, rows: &[Model], times: Times) -> Result<(), DbErr> {
    for row in rows {
        let is_due = row.remove_at.is_some_and(|at| at <= times.retention_now);
        if row.state == KeyState::Retiring && is_due {
            move_to(txn, row, KeyState::Removed, times.now, row.remove_at).await?;
        }
    }
    Ok(())
}

async fn move_to(
    txn: &impl ConnectionTrait,
    row: &Model,
    state: KeyState,
    now: Timestamp,
    remove_at: Option<Timestamp>,
) -> Result<(), DbErr> {
    let mut moved = signing_key::ActiveModel { kid: Set(row.kid.clone()), ..Default::default() };
    moved.state = Set(state);
    moved.remove_at = Set(remove_at);
    match state {
        KeyState::Active => moved.activated_at = Set(Some(now)),
        KeyState::Retiring => moved.retired_at = Set(Some(now)),
        KeyState::Pending | KeyState::Removed => {}
    }
    moved.update(txn).await?;
    Ok(())
}

fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
