//! Closes all lists after an older backup is restored: it is not known which of their sessions have
//! ended since, or which entries were allocated since. So all count as ended, and new sessions get
//! new lists.

use openssl::error::ErrorStack;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::status::BLOCKS;
use crate::domain::status::entries::{AllocationError, below, create, insert};
use crate::entity::status_list::{Column, Entity, Model};
use crate::timestamp::Timestamp;

/// How many lists may have been created since the backup: each serves at least half a million
/// logins.
const AHEAD: i32 = 2;

/// Possible numbers for the first list of a new sequence. Numbers within a sequence are
/// consecutive; the range is so large that sequences do not meet.
const BEGINNINGS: std::ops::Range<i32> = 1 << 24..1 << 30;

/// Closes all lists: all of their sessions count as ended from now on, and entries are allocated
/// from a list whose number was never used.
///
/// # Errors
/// If the database refuses, or the operating system gives no random bytes.
pub async fn close_all(txn: &impl ConnectionTrait, now: Timestamp) -> Result<(), AllocationError> {
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

/// A number that is not in use.
fn beginning(taken: &[i32]) -> Result<i32, ErrorStack> {
    let bound = usize::try_from(BEGINNINGS.end - BEGINNINGS.start).unwrap_or(1);
    loop {
        let id = BEGINNINGS.start + i32::try_from(below(bound)?).unwrap_or(0);
        if !taken.contains(&id) {
            return Ok(id);
        }
    }
}
