//! Marking entries invalid, and forgetting what no token can ask for any more.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::database::Db;
use crate::domain::status::{LONGEST_TOKEN_LIFE, StatusEntry};
use crate::entity::{invalid_status, session, status_list};
use crate::timestamp::Timestamp;

/// Rows in one statement: far below what either database takes in parameters.
const AT_ONCE: usize = 1000;

/// Marks entries invalid, as part of the transaction that ends their sessions.
///
/// # Errors
/// If the database refuses.
pub async fn mark_invalid(
    txn: &impl ConnectionTrait,
    entries: impl IntoIterator<Item = StatusEntry>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let rows: Vec<_> = entries
        .into_iter()
        .map(|entry| invalid_status::ActiveModel {
            list_id: Set(entry.list),
            idx: Set(entry.index),
            since: Set(now),
        })
        .collect();
    for rows in rows.chunks(AT_ONCE) {
        let key = [invalid_status::Column::ListId, invalid_status::Column::Idx];
        invalid_status::Entity::insert_many(rows.to_vec())
            .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
            .exec_without_returning(txn)
            .await?;
    }
    Ok(())
}

/// Deletes marks that no living token can carry, and full lists that none names. Says how many
/// marks and lists went.
///
/// # Errors
/// If the database refuses.
pub async fn purge(db: &Db, now: Timestamp) -> Result<(u64, u64), DbErr> {
    let forgotten = now.minus(LONGEST_TOKEN_LIFE);
    let marks = db
        .write(move |txn, _| {
            Box::pin(async move {
                let old = invalid_status::Entity::delete_many()
                    .filter(invalid_status::Column::Since.lt(forgotten));
                Ok::<_, DbErr>(old.exec(txn).await?.rows_affected)
            })
        })
        .await?;
    let full = db
        .read(|db| async move {
            let full = status_list::Entity::find()
                .select_only()
                .column(status_list::Column::Id)
                .filter(status_list::Column::FreeBlocks.eq(0));
            full.order_by_asc(status_list::Column::Id).into_tuple::<i32>().all(&db).await
        })
        .await?;
    let mut lists = 0;
    for id in full {
        if !is_named_by_a_token(db, id, forgotten).await? {
            lists += drop_list(db, id).await?;
        }
    }
    Ok((marks, lists))
}

/// Whether a session of the list may have a token that is alive: it was refreshed to its end, or it
/// was ended, less than a token's life ago.
async fn is_named_by_a_token(db: &Db, list: i32, forgotten: Timestamp) -> Result<bool, DbErr> {
    use session::Column::{AbsoluteExpiresAt, Id, StatusList};
    let session = session::Entity::find()
        .select_only()
        .column(Id)
        .filter(StatusList.eq(list))
        .filter(AbsoluteExpiresAt.gt(forgotten));
    let session = session.into_tuple::<uuid::Uuid>();
    if db.read(|db| async move { session.one(&db).await }).await?.is_some() {
        return Ok(true);
    }
    // Of an account that was deleted, the mark is all that is left.
    let mark = invalid_status::Entity::find().filter(invalid_status::Column::ListId.eq(list));
    Ok(db.read(|db| async move { mark.one(&db).await }).await?.is_some())
}

async fn drop_list(db: &Db, id: i32) -> Result<u64, DbErr> {
    db.write(move |txn, _| {
        Box::pin(async move {
            let dropped = status_list::Entity::delete_by_id(id).exec(txn).await?;
            Ok(dropped.rows_affected)
        })
    })
    .await
}
