//! Marks entries invalid, and deletes marks and lists that no valid token refers to.

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

/// Rows per statement: far below the parameter limits of both databases.
const AT_ONCE: usize = 1000;

/// Sessions read per query.
const PAGE: u64 = 2_000;

/// Marks entries invalid, in the transaction that ends their sessions.
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

/// Deletes marks that no unexpired token can refer to.
///
/// # Errors
/// If the database refuses.
pub async fn purge_marks(db: &Db) -> Result<Purged, DbErr> {
    use invalid_status::{Column, Entity};
    delete_expired::<Entity>(db, Column::Since, db.retention_now().minus(LONGEST_TOKEN_LIFE)).await
}

/// Deletes full lists that no unexpired token refers to. Returns how many.
///
/// # Errors
/// If the database refuses.
pub async fn purge_lists(db: &Db) -> Result<u64, DbErr> {
    use status_list::Column::{ClosedAt, FreeBlocks, Id};
    let forgotten = db.retention_now().minus(LONGEST_TOKEN_LIFE);
    // Any token may refer to a closed list.
    let is_over = Condition::any().add(ClosedAt.is_null()).add(ClosedAt.lt(forgotten));
    let full = status_list::Entity::find()
        .select_only()
        .column(Id)
        .filter(FreeBlocks.eq(0))
        .filter(is_over)
        .order_by_asc(Id)
        .into_tuple::<i32>();
    let mut lists = 0;
    for id in db.read(|db| async move { full.all(&db).await }).await? {
        if !is_named_by_a_token(db, id, forgotten).await? {
            lists += drop_list(db, id).await?;
        }
    }
    Ok(lists)
}

/// Whether a session of the list may have an unexpired token: its end or expiry is not yet the
/// longest token lifetime ago.
async fn is_named_by_a_token(db: &Db, list: i32, forgotten: Timestamp) -> Result<bool, DbErr> {
    // The mark is all that is left of a deleted account.
    let mark = invalid_status::Entity::find()
        .filter(invalid_status::Column::ListId.eq(list))
        .order_by_asc(invalid_status::Column::Idx);
    if db.read(|db| async move { mark.one(&db).await }).await?.is_some() {
        return Ok(true);
    }
    // Read by entry: no index has the lists' sessions by expiry. It would cost a write at each
    // login and serve one query per hour.
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

/// A page of entries after `behind` that belong to sessions of the list, with the sessions'
/// absolute expiry.
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
