//! Computes the folded form of email addresses in rows that lack it: rows from before the folded
//! form was introduced, and rows that an instance of the previous version has written.
//!
//! If several rows have the same folded form, all of them stay. They are marked as ambiguous, and
//! each is found only by its canonical form. One of them stores the folded form, so that the unique
//! index prevents new accounts with this form.

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::email::Email;
use crate::entity::account::{Column, Entity, Model};

/// Number of rows that one transaction changes.
const PORTION: u64 = 500;

/// Computes the folded form of all rows that lack it, in portions. Returns the number of these
/// rows.
///
/// # Errors
/// If the database refuses; portions that were committed before the error stay.
pub async fn fold(db: &Db) -> Result<usize, DbErr> {
    let mut count = 0;
    loop {
        let rows = db
            .read(|db| async move {
                let unfolded = Entity::find_unfolded(db.get_database_backend());
                unfolded.limit(PORTION).all(&db).await
            })
            .await?;
        if rows.is_empty() {
            return Ok(count);
        }
        count += rows.len();
        db.write(rows, |txn, _, rows| Box::pin(fold_rows(txn, rows))).await?;
    }
}

/// Calls [`fold`], and then checks all ambiguous rows again. Runs at start-up. Returns what
/// [`fold`] returned.
///
/// # Errors
/// If the database refuses.
pub async fn fold_and_recheck(db: &Db) -> Result<usize, DbErr> {
    let count = fold(db).await?;
    recheck_ambiguous(db).await?;
    Ok(count)
}

async fn fold_rows(txn: &impl ConnectionTrait, rows: &[Model]) -> Result<(), DbErr> {
    let is_folded = |row: &&Model| {
        Email::of_account(&row.email_canonical).folded() == Some(&row.email_canonical)
    };
    // The unique index contains the canonical form of rows without a folded form. For a row whose
    // two forms are equal, the entry in the index stays the same, so only other rows can violate
    // it.
    let (folded, others): (Vec<_>, Vec<_>) = rows.iter().partition(is_folded);
    // With an empty list, the database would scan every row for the condition.
    if !folded.is_empty() {
        Entity::update_many()
            .col_expr(Column::EmailFolded, Expr::col(Column::EmailCanonical))
            .filter(Column::Id.is_in(folded.iter().map(|row| row.id)))
            .exec(txn)
            .await?;
    }
    for row in others {
        match Email::of_account(&row.email_canonical).folded() {
            None => set_ambiguous(txn, row.id, true).await?,
            Some(folded) => match owner(txn, folded).await? {
                None => set_folded(txn, row.id, folded).await?,
                Some(owner) => {
                    set_ambiguous(txn, row.id, true).await?;
                    set_ambiguous(txn, owner, true).await?;
                }
            },
        }
    }
    Ok(())
}

/// Checks ambiguous rows again. If only one ambiguous row is left for a folded form, because the
/// others were deleted or changed, this row becomes unambiguous.
async fn recheck_ambiguous(db: &Db) -> Result<(), DbErr> {
    let mut by_folded: HashMap<String, Vec<Uuid>> = HashMap::new();
    for row in ambiguous(db).await? {
        if let Some(folded) = Email::of_account(&row.email_canonical).folded() {
            by_folded.entry(folded.to_owned()).or_default().push(row.id);
        }
    }
    for (folded, ids) in by_folded {
        if let [id] = ids[..] {
            db.write(folded, move |txn, _, folded| Box::pin(make_unambiguous(txn, id, folded)))
                .await?;
        }
    }
    Ok(())
}

/// Marks a row as unambiguous, unless another account has its folded form.
async fn make_unambiguous(txn: &impl ConnectionTrait, id: Uuid, folded: &str) -> Result<(), DbErr> {
    if owner(txn, folded).await?.is_some_and(|owner| owner != id) {
        return Ok(());
    }
    set_folded(txn, id, folded).await?;
    set_ambiguous(txn, id, false).await
}

/// All accounts whose address is ambiguous.
///
/// # Errors
/// If the database refuses.
pub async fn ambiguous(db: &Db) -> Result<Vec<Model>, DbErr> {
    db.read(|db| async move { Entity::find_ambiguous().all(&db).await }).await
}

/// The id of the account for which the unique index contains this folded form.
async fn owner(txn: &impl ConnectionTrait, folded: &str) -> Result<Option<Uuid>, DbErr> {
    let owner = Entity::find().select_only().column(Column::Id);
    let owner = owner.filter(ExprTrait::eq(Entity::address_key(), folded));
    owner.into_tuple().one(txn).await
}

async fn set_folded(txn: &impl ConnectionTrait, id: Uuid, folded: &str) -> Result<(), DbErr> {
    set(txn, id, Column::EmailFolded, Expr::value(folded)).await
}

async fn set_ambiguous(
    txn: &impl ConnectionTrait,
    id: Uuid,
    is_ambiguous: bool,
) -> Result<(), DbErr> {
    set(txn, id, Column::EmailAmbiguous, Expr::value(is_ambiguous)).await
}

async fn set(
    txn: &impl ConnectionTrait,
    id: Uuid,
    column: Column,
    value: Expr,
) -> Result<(), DbErr> {
    let update = Entity::update_many().col_expr(column, value).filter(Column::Id.eq(id));
    update.exec(txn).await.map(|_| ())
}
