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

/// Number of rows per statement. It is far below the parameter limits of both databases.
const ROWS_PER_STATEMENT: usize = 1000;

/// Number of sessions that one query reads.
const PAGE: u64 = 2_000;

/// Marks entries invalid. Must run in the transaction that ends their sessions.
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
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
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

/// Deletes full lists to which no unexpired token refers. Returns the number of deleted lists.
///
/// # Errors
/// If the database refuses.
pub async fn purge_lists(db: &Db) -> Result<u64, DbErr> {
    use status_list::Column::{ClosedAt, FreeBlocks, Id};
    let cutoff = db.retention_now().minus(LONGEST_TOKEN_LIFE);
    // Tokens of sessions that are unknown to the database may refer to a closed list.
    let is_open_or_old = Condition::any().add(ClosedAt.is_null()).add(ClosedAt.lt(cutoff));
    let full = status_list::Entity::find()
        .select_only()
        .column(Id)
        .filter(FreeBlocks.eq(0))
        .filter(is_open_or_old)
        .order_by_asc(Id)
        .into_tuple::<i32>();
    let mut lists = 0;
    for id in db.read(|db| async move { full.all(&db).await }).await? {
        if !may_be_referenced(db, id, cutoff).await? {
            lists += drop_list(db, id).await?;
        }
    }
    Ok(lists)
}

/// Whether a session of the list may have an unexpired token. This is the case if the session ended
/// or expired after `cutoff`.
async fn may_be_referenced(db: &Db, list: i32, cutoff: Timestamp) -> Result<bool, DbErr> {
    // If the account of a session was deleted, only the mark of the session remains.
    let mark = invalid_status::Entity::find()
        .filter(invalid_status::Column::ListId.eq(list))
        .order_by_asc(invalid_status::Column::Idx);
    if db.read(|db| async move { mark.one(&db).await }).await?.is_some() {
        return Ok(true);
    }
    // The sessions are read in the order of their entries, because no index has the expiry of
    // sessions per list. Such an index would cost a write at each login, for one query per hour.
    let mut after = -1;
    loop {
        let page = sessions_of(db, list, after).await?;
        if page.iter().any(|(_, expires_at)| *expires_at > cutoff) {
            return Ok(true);
        }
        let Some((end, _)) = page.last() else { return Ok(false) };
        after = *end;
    }
}

/// The next page of the list's sessions after the entry `after`: the index of the entry and the
/// absolute expiry of each session.
async fn sessions_of(db: &Db, list: i32, after: i32) -> Result<Vec<(i32, Timestamp)>, DbErr> {
    use session::Column::{AbsoluteExpiresAt, StatusIndex, StatusList};
    let page = session::Entity::find()
        .select_only()
        .column(StatusIndex)
        .column(AbsoluteExpiresAt)
        .filter(StatusList.eq(list))
        .filter(StatusIndex.gt(after))
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
