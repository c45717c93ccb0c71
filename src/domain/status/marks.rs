//! Marking entries invalid, and forgetting what no token can ask for any more.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::database::{Db, Purged, delete_expired};
use crate::domain::granted::StatusEntry;
use crate::domain::status::LONGEST_TOKEN_LIFE;
use crate::entity::{invalid_status, session, status_list};
use crate::timestamp::Timestamp;

/// Rows in one statement: far below what either database takes in parameters.
const AT_ONCE: usize = 1000;

/// Sessions that are looked at in one question.
const PAGE: u64 = 2_000;

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

/// Deletes marks that no living token can carry.
///
/// # Errors
/// If the database refuses.
pub async fn purge_marks(db: &Db) -> Result<Purged, DbErr> {
    use invalid_status::{Column, Entity};
    delete_expired::<Entity>(db, Column::Since, db.retention_now().minus(LONGEST_TOKEN_LIFE)).await
}

/// Deletes full lists that no living token names. Says how many.
///
/// # Errors
/// If the database refuses.
pub async fn purge_lists(db: &Db) -> Result<u64, DbErr> {
    let forgotten = db.retention_now().minus(LONGEST_TOKEN_LIFE);
    let full = db
        .read(|db| async move {
            use status_list::Column::{ClosedAt, FreeBlocks, Id};
            // Of a closed one, nobody knows which tokens name it.
            let is_over = Condition::any().add(ClosedAt.is_null()).add(ClosedAt.lt(forgotten));
            let full = status_list::Entity::find()
                .select_only()
                .column(Id)
                .filter(FreeBlocks.eq(0))
                .filter(is_over);
            full.order_by_asc(status_list::Column::Id).into_tuple::<i32>().all(&db).await
        })
        .await?;
    let mut lists = 0;
    for id in full {
        if !is_named_by_a_token(db, id, forgotten).await? {
            lists += drop_list(db, id).await?;
        }
    }
    Ok(lists)
}

/// Whether a session of the list may have a token that is alive: it was refreshed to its end, or it
/// was ended, less than a token's life ago.
async fn is_named_by_a_token(db: &Db, list: i32, forgotten: Timestamp) -> Result<bool, DbErr> {
    // Of an account that was deleted, the mark is all that is left.
    let mark = invalid_status::Entity::find()
        .filter(invalid_status::Column::ListId.eq(list))
        .order_by_asc(invalid_status::Column::Idx);
    if db.read(|db| async move { mark.one(&db).await }).await?.is_some() {
        return Ok(true);
    }
    // Entry by entry: no index has the lists' sessions by their end, and it would be written at
    // each login for a question that is asked once an hour.
    let mut behind = -1;
    loop {
        let page = sessions_of(db, list, behind).await?;
        if page.iter().any(|(_, expires_at)| *expires_at > forgotten) {
            return Ok(true);
        }
        let Some((end, _)) = page.last() else { return Ok(false) };
        behind = *end;
    }
}

/// The entries behind `behind` that sessions of the list have, and when these end; a page of them.
async fn sessions_of(db: &Db, list: i32, behind: i32) -> Result<Vec<(i32, Timestamp)>, DbErr> {
    use session::Column::{AbsoluteExpiresAt, StatusIndex, StatusList};
    let page = session::Entity::find()
        .select_only()
        .column(StatusIndex)
        .column(AbsoluteExpiresAt)
        .filter(StatusList.eq(list))
        .filter(StatusIndex.gt(behind))
        .order_by_asc(StatusIndex)
        .limit(PAGE)
        .into_tuple();
    db.read(|db| async move { page.all(&db).await }).await
}

async fn drop_list(db: &Db, id: i32) -> Result<u64, DbErr> {
    db.write((), move |txn, _, ()| {
        Box::pin(async move {
            let dropped = status_list::Entity::delete_by_id(id).exec(txn).await?;
            Ok(dropped.rows_affected)
        })
    })
    .await
}
