//! The transactional outbox. A transaction writes its follow-up work as a row. After the commit,
//! any instance takes the row and attempts the work, until an attempt succeeds. So a crash loses no
//! work.
//!
//! Deliveries to clients are taken with [`take_due`], which prevents receivers from delaying each
//! other ([`Shares`]). Mails, which all go to one server, are taken with [`take_oldest`]. The work
//! of `session::unfinished` changes only the database, so its own transactions take its rows.

mod backoff;
mod shares;

use std::time::Duration;

use sea_orm::sea_query::{Expr, LockBehavior, LockType, OnConflict};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::database::outbox::due_receivers;
use crate::domain::outbox::backoff::wait_after;
use crate::entity::outbox::{ActiveModel, Column, Entity};
use crate::timestamp::Timestamp;

pub use crate::entity::outbox::{Kind, Model as Item};
pub use shares::{Answer, Shares};

/// How long an instance has for one delivery before another instance may retry. This is longer than
/// the timeout of a delivery.
const CLAIM: Duration = Duration::from_secs(15);

/// Writes follow-up work. Must run in the transaction that causes the work. Does not change an
/// existing row with the same id.
///
/// # Errors
/// If the database refuses.
pub async fn enqueue(txn: &impl ConnectionTrait, items: Vec<Item>) -> Result<(), DbErr> {
    if items.is_empty() {
        return Ok(());
    }
    let rows = items.into_iter().map(|item| ActiveModel::from(item).reset_all());
    Entity::insert_many(rows)
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(txn)
        .await
        .map(drop)
}

/// Takes due deliveries, for each receiver as many as `shares` allots. Only one instance takes each
/// row.
///
/// # Errors
/// If the database refuses.
pub async fn take_due(
    db: &Db,
    kind: Kind,
    shares: &mut Shares,
    now: Timestamp,
) -> Result<Vec<Item>, DbErr> {
    let most = i64::try_from(shares::SHARE).unwrap_or(i64::MAX);
    let due = due_receivers(db, kind.to_value(), now, most).await?;
    let allotted = shares.allot(&due, now);
    if allotted.is_empty() {
        return Ok(Vec::new());
    }
    let taken = db
        .write(allotted.clone(), move |txn, now, allotted| {
            Box::pin(async move { take_in_transaction(txn, kind, allotted, now).await })
        })
        .await;
    for (receiver, number) in allotted {
        let used = taken.iter().flatten().filter(|item| item.receiver == receiver).count();
        shares.release(&receiver, number.saturating_sub(used));
    }
    taken
}

async fn take_in_transaction(
    txn: &DatabaseTransaction,
    kind: Kind,
    allotted: &[(String, usize)],
    now: Timestamp,
) -> Result<Vec<Item>, DbErr> {
    let mut taken = Vec::new();
    for (receiver, number) in allotted {
        // Rows that another instance is taking are skipped.
        let due = Entity::find()
            .filter(Column::Kind.eq(kind))
            .filter(Column::Receiver.eq(receiver))
            .filter(Column::DueAt.lte(now))
            .order_by_asc(Column::DueAt)
            .limit(u64::try_from(*number).unwrap_or(0))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        taken.extend(due.all(txn).await?);
    }
    claim(txn, &taken, now.plus(CLAIM)).await?;
    Ok(taken)
}

/// Takes up to `number` rows of a kind: the rows that have been due longest. Only one instance
/// takes each row. If the work is neither done nor postponed within `claim_for`, another instance
/// may retry.
///
/// # Errors
/// If the database refuses.
pub async fn take_oldest(
    db: &Db,
    kind: Kind,
    number: u64,
    claim_for: Duration,
    now: Timestamp,
) -> Result<Vec<Item>, DbErr> {
    let due = Entity::find()
        .filter(Column::Kind.eq(kind))
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .limit(number);
    let any = due.clone().limit(1);
    if number == 0 || db.read(|db| async move { any.one(&db).await }).await?.is_none() {
        return Ok(Vec::new());
    }
    db.write(due, move |txn, now, due| {
        Box::pin(async move {
            // Rows that another instance is taking are skipped.
            let due = due.clone().lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
            let taken = due.all(txn).await?;
            claim(txn, &taken, now.plus(claim_for)).await?;
            Ok(taken)
        })
    })
    .await
}

/// Makes rows due at `until`, so that no other instance takes them before.
async fn claim(txn: &DatabaseTransaction, rows: &[Item], until: Timestamp) -> Result<(), DbErr> {
    let ids: Vec<_> = rows.iter().map(|item| item.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(until))
        .filter(Column::Id.is_in(ids))
        .exec(txn)
        .await
        .map(drop)
}

/// Deletes an item whose work is done, or will not be attempted again.
///
/// # Errors
/// If the database refuses; then the work is done again.
pub async fn forget(db: &Db, id: Uuid) -> Result<(), DbErr> {
    db.write((), move |txn, _, ()| {
        Box::pin(async move { Entity::delete_by_id(id).exec(txn).await.map(drop) })
    })
    .await
}

/// Schedules the next attempt after a failure.
///
/// # Errors
/// If the database refuses; then the work is retried when the claim expires.
pub async fn postpone(db: &Db, item: &Item, now: Timestamp) -> Result<(), DbErr> {
    let attempts = item.attempts.saturating_add(1);
    postpone_to(db, item.id, attempts, now.plus(wait_after(attempts.unsigned_abs()))).await
}

/// Schedules the next attempt for `due_at`, and sets the number of attempts.
///
/// # Errors
/// As [`postpone`].
pub async fn postpone_to(db: &Db, id: Uuid, attempts: i32, due_at: Timestamp) -> Result<(), DbErr> {
    let update = Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(attempts))
        .col_expr(Column::DueAt, Expr::value(due_at))
        .filter(Column::Id.eq(id));
    db.write(update, move |txn, _, update| {
        Box::pin(async move { update.clone().exec(txn).await.map(drop) })
    })
    .await
}

/// The number of rows of a kind, including rows that are not due.
///
/// # Errors
/// If the database refuses.
pub async fn count(db: &Db, kind: Kind) -> Result<u64, DbErr> {
    let rows = Entity::find().filter(Column::Kind.eq(kind));
    db.read(|db| async move { rows.count(&db).await }).await
}
