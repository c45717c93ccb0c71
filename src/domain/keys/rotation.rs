//! The life of a signing key: pending → active → retiring → removed.
//!
//! 1. A key is made, or brought along, and published; it does not sign yet.
//! 2. Once every cached key set must hold it, it signs, and its predecessor stops.
//! 3. Once every token of the predecessor has expired, that one goes.
//!
//! One instance at a time takes these steps, the one that holds the lease; the others see them at
//! their next look. The steps depend on `now` and the rows alone, so it does not matter which
//! instance takes them, or that one died half-way: each is one transaction.

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
use crate::domain::keys::key_pair;
use crate::domain::keys::replacement;
use crate::domain::keys::rows::{any_sealed, mark_revoked, record, write_row};
use crate::domain::keys::schedule::Schedule;
use crate::domain::keys::seal::Sealer;
use crate::entity::signing_key::{Column, Entity, KeyState, Model};
use crate::entity::{lease, signing_key};
use crate::timestamp::Timestamp;

/// No lease is taken for longer, whatever another instance's settings are.
const LONGEST_LEASE: Duration = Duration::from_hours(24);

/// The row of `lease` that is for keys.
const LEASE: &str = "signing_keys";

/// Makes the first key. There are no verifiers yet that could have cached a set without it, so it
/// signs at once. Of several instances that start on an empty database, one makes it.
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

/// Takes the steps that are due, if no other instance is at it. Makes the next key in time.
///
/// # Errors
/// See [`KeyRingError`]; what was not done is done at the next call, here or elsewhere.
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
    // Made before the transaction: it takes a tenth of a second or more.
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

/// Publishes a new key, to take over when every cached key set holds it. Returns its id.
///
/// # Errors
/// [`KeyRingError::Pending`] if one is on its way already.
pub async fn rotate(
    db: &Db,
    sealer: &Sealer,
    schedule: &Schedule,
    bits: u32,
    now: Timestamp,
) -> Result<Model, KeyRingError> {
    introduce(db, key_pair::generate(sealer, bits, now)?, schedule).await
}

/// The same with a key from elsewhere.
///
/// # Errors
/// [`KeyRingError::Import`] if it is not good enough.
pub async fn import(
    db: &Db,
    sealer: &Sealer,
    schedule: &Schedule,
    pem: &[u8],
    now: Timestamp,
) -> Result<Model, KeyRingError> {
    introduce(db, key_pair::import(pem, sealer, now)?, schedule).await
}

/// Takes a key out of the key set at once, because somebody else has it. Tokens it signed are
/// refused as soon as caches of the key set run out. A key that is out already is believed in
/// nothing any more, not even in hints. If it was the one that signs, a new one does
/// from now on, which services with a cached key set refuse until they fetch it.
///
/// # Errors
/// [`KeyRingError::Unknown`] if there is none of that id, or it was revoked before.
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
    if is_revoked { Ok(()) } else { Err(KeyRingError::Unknown { kid: kid.to_owned() }) }
}

/// Seals every key anew with the first master key of the file. Returns how many there are.
///
/// # Errors
/// [`KeyRingError::Sealed`] if one cannot be opened; nothing is changed then.
pub async fn reseal(db: &Db, sealer: &Sealer) -> Result<usize, KeyRingError> {
    let mut resealed = Vec::new();
    let rows = db.read(|db| async move { Entity::find().all(&db).await }).await?;
    for row in rows {
        let jwk = sealer.open(&row.sealed_jwk);
        let jwk = jwk.ok_or_else(|| KeyRingError::Sealed { kid: row.kid.clone() })?;
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

/// The row of a key that is published at `now`, and signs once every cached key set holds it.
fn pending(row: &Model, schedule: &Schedule, now: Timestamp) -> Model {
    let activate_at = Some(now.plus(schedule.publication));
    Model { created_at: now, activate_at, ..row.clone() }
}

/// The row of a key that signs at once: nobody can have cached a key set without it.
fn first(row: &Model, now: Timestamp) -> Model {
    let (state, activated_at) = (KeyState::Active, Some(now));
    Model { state, created_at: now, activated_at, ..row.clone() }
}

async fn introduce(db: &Db, row: Model, schedule: &Schedule) -> Result<Model, KeyRingError> {
    let kid = row.kid.clone();
    // Before the first start nothing else signs.
    let schedule = any_sealed(db).await?.then_some(*schedule);
    match insert(db, row, schedule).await {
        Err(error) if is_taken(&error) => {
            let rows = db.read(|db| async move { Entity::find_published().all(&db).await }).await?;
            let waiting = rows.into_iter().find(|row| row.state == KeyState::Pending);
            Err(KeyRingError::Pending { kid: waiting.map_or(kid, |row| row.kid) })
        }
        Err(error) => Err(error.into()),
        Ok(row) => Ok(row),
    }
}

/// Writes a key that waits as the schedule has it, or signs at once if there is none. Its times are
/// those of the transaction: one that waited for the database must not be published for less.
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

/// The present, and the time by which a key is old enough for what cannot be undone: to be removed, or
/// to get a successor. A clock that jumps ahead must not plan a rotation from there.
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

/// Whether this instance is the one that takes the steps.
async fn take_lease(
    txn: &impl ConnectionTrait,
    holder: Uuid,
    schedule: Schedule,
    now: Timestamp,
) -> Result<bool, DbErr> {
    // One that runs longer than any does was taken by a clock that ran ahead.
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
