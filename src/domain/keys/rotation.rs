//! The lifecycle of a signing key: pending → active → retiring → removed.
//!
//! 1. A key is generated or imported, and published; it does not sign yet.
//! 2. Once every cached key set must contain it, it becomes active, and its predecessor stops
//!    signing.
//! 3. Once every token of the predecessor has expired, the predecessor is removed.
//!
//! One instance at a time takes these steps, the one that has the lease; the others see them at
//! their next reload. The steps depend on `now` and the rows only, so it does not matter which
//! instance takes them, or if one crashes in between: each step is one transaction.

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
use crate::domain::keys::rows::{any_sealed, mark_revoked, opened, record, write_row};
use crate::domain::keys::schedule::Schedule;
use crate::domain::keys::seal::Sealer;
use crate::domain::keys::{key_pair, replacement};
use crate::entity::signing_key::{Column, Entity, KeyState, Model};
use crate::entity::{lease, signing_key};
use crate::timestamp::Timestamp;

/// Maximum duration of a lease, whatever the settings of another instance.
const LONGEST_LEASE: Duration = Duration::from_hours(24);

/// The name of the `lease` row for keys.
const LEASE: &str = "signing_keys";

/// Creates the first key. No verifier can have cached a key set without it, so it is active at
/// once. Of several instances that start on an empty database, one creates it.
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
        Err(error) if is_taken(&error) => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// Takes the steps that are due, unless another instance has the lease. Generates the next key when
/// it is time.
///
/// # Errors
/// See [`KeyRingError`]; steps not taken are taken at the next call, here or on another instance.
pub async fn advance(
    db: &Db,
    sealer: &Sealer,
    schedule: &Schedule,
    bits: u32,
    holder: Uuid,
) -> Result<(), KeyRingError> {
    let rows = db.read(|db| async move { Entity::find_published().all(&db).await }).await?;
    let aged = db.retention_now();
    let times = Times { now: db.clock().now(), aged };
    if !anything_is_due(&rows, schedule, times) {
        return Ok(());
    }
    // Generated before the transaction: it takes a tenth of a second or more.
    let successor = if needs_successor(&rows, schedule, times.aged) {
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
                Some(row) if needs_successor(&rows, &schedule, times.aged) => {
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

/// The same with an imported key.
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

/// Revokes a compromised key: removes it from the key set at once. Tokens it signed are refused as
/// soon as caches of the key set expire. A key that was removed before is no longer trusted for
/// anything, including ID token hints. If the key was active, a new key becomes active at once, and
/// services with a cached key set refuse its tokens until they fetch the key set again.
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

/// Encrypts every private key again with the first master key of the file. Returns how many there
/// are.
///
/// # Errors
/// [`KeyRingError::Sealed`] if one cannot be decrypted; nothing is changed then.
pub async fn reseal(db: &Db, sealer: &Sealer) -> Result<usize, KeyRingError> {
    let mut resealed = Vec::new();
    let rows = db.read(|db| async move { Entity::find().all(&db).await }).await?;
    for row in rows {
        let jwk = opened(sealer, &row)?;
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

/// The row of a key that is published at `now`, and becomes active once every cached key set
/// contains it.
fn pending(row: &Model, schedule: &Schedule, now: Timestamp) -> Model {
    let activate_at = Some(now.plus(schedule.publication));
    Model { created_at: now, activate_at, ..row.clone() }
}

/// The row of a key that is active at once: no verifier can have cached a key set without it.
fn first(row: &Model, now: Timestamp) -> Model {
    let (state, activated_at) = (KeyState::Active, Some(now));
    Model { state, created_at: now, activated_at, ..row.clone() }
}

async fn introduce(db: &Db, row: Model, schedule: &Schedule) -> Result<Model, KeyRingError> {
    let kid = row.kid.clone();
    // Before the first start there is no other signing key.
    let schedule = any_sealed(db).await?.then_some(*schedule);
    match insert(db, row, schedule).await {
        Err(error) if is_taken(&error) => {
            let rows = db.read(|db| async move { Entity::find_published().all(&db).await }).await?;
            let waiting = rows.into_iter().find(|row| row.state == KeyState::Pending);
            Err(KeyRingError::Pending(waiting.map_or(kid, |row| row.kid)))
        }
        result => Ok(result?),
    }
}

/// Writes a pending key according to the schedule, or an active one if there is none. Its times are
/// those of the transaction: a key that waited for the database must not be published for less
/// time.
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

/// The present, and the time used for steps that cannot be undone: removing a key, or generating a
/// successor. A clock that jumps ahead must not trigger a rotation.
#[derive(Clone, Copy)]
struct Times {
    now: Timestamp,
    aged: Timestamp,
}

fn anything_is_due(rows: &[Model], schedule: &Schedule, times: Times) -> bool {
    needs_successor(rows, schedule, times.aged)
        || rows.iter().any(|row| match row.state {
            KeyState::Pending => row.activate_at.is_some_and(|at| at <= times.now),
            KeyState::Retiring => row.remove_at.is_some_and(|at| at <= times.aged),
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

/// Takes or extends the lease; `true` if this instance has it.
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

/// The predecessor stops first: the database allows one active key.
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
        if row.state == KeyState::Retiring && row.remove_at.is_some_and(|at| at <= times.aged) {
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

fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
