//! Closing all lists: once an older backup is restored, nobody knows which of their sessions have
//! ended, or which entries were dealt after it. So all count as ended, and further sessions get
//! other lists.

use openssl::error::ErrorStack;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::status::BLOCKS;
use crate::domain::status::entries::{DrawError, below, create, insert};
use crate::entity::status_list::{Column, Entity, Model};
use crate::timestamp::Timestamp;

/// How many lists may have been made since the backup, unknown to it: each is for half a million
/// logins at least.
const AHEAD: i32 = 2;

/// The numbers of lists that begin a new row of them. Numbers of a row follow each other; so many
/// rows can begin here that no two meet.
const BEGINNINGS: std::ops::Range<i32> = 1 << 24..1 << 30;

/// From now on all sessions of all lists count as ended, and entries are drawn from a list whose
/// number was never used.
///
/// # Errors
/// If the database refuses, or the operating system gives no random bytes.
pub async fn close_all(txn: &impl ConnectionTrait, now: Timestamp) -> Result<(), DrawError> {
    let ids = Entity::find().select_only().columns([Column::Id]).order_by_asc(Column::Id);
    let open = ids.clone().filter(Column::ClosedAt.is_null()).into_tuple::<i32>().all(txn).await?;
    Entity::update_many()
        .col_expr(Column::ClosedAt, Expr::value(now))
        .col_expr(Column::FreeBlocks, Expr::value(0))
        .filter(Column::ClosedAt.is_null())
        .exec(txn)
        .await?;
    let last = open.last().copied().unwrap_or(0);
    for id in last + 1..=last + AHEAD {
        insert(txn, closed(id, now)).await?;
    }
    let taken = ids.into_tuple::<i32>().all(txn).await?;
    create(txn, beginning(&taken)?, now).await?;
    Ok(())
}

fn closed(id: i32, now: Timestamp) -> Model {
    let claimed = vec![0xff; BLOCKS / 8];
    Model { id, claimed, free_blocks: 0, created_at: now, closed_at: Some(now) }
}

/// A number that is not taken.
fn beginning(taken: &[i32]) -> Result<i32, ErrorStack> {
    let bound = usize::try_from(BEGINNINGS.end - BEGINNINGS.start).unwrap_or(1);
    loop {
        let id = BEGINNINGS.start + i32::try_from(below(bound)?).unwrap_or(0);
        if !taken.contains(&id) {
            return Ok(id);
        }
    }
}
