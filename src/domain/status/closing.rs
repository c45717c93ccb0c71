//! Closes all lists after an older backup was restored. It is not known which of their sessions
//! ended after the backup was made, nor which entries were allocated after that. So all sessions of
//! these lists count as ended, and new sessions get entries of new lists.

use openssl::error::ErrorStack;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::status::BLOCKS;
use crate::domain::status::entries::{AllocationError, create, insert, random_below};
use crate::entity::status_list::{Column, Entity, Model};
use crate::timestamp::Timestamp;

/// Maximum number of lists that may have been created after the backup was made. Each list serves
/// at least half a million logins.
const MAX_CREATED: i32 = 2;

/// Possible numbers for the first list after a restore. The numbers of later lists follow this
/// number without gaps. The range is so large that the numbers after two restores do not overlap.
const FIRST_IDS: std::ops::Range<i32> = 1 << 24..1 << 30;

/// Closes all lists. From now on, all sessions of these lists count as ended, and entries are
/// allocated from a list whose number was never used.
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
    for id in last + 1..=last + MAX_CREATED {
        insert(txn, closed(id, now)).await?;
    }
    let taken = ids.into_tuple::<i32>().all(txn).await?;
    create(txn, first_id(&taken)?, now).await?;
    Ok(())
}

fn closed(id: i32, now: Timestamp) -> Model {
    let claimed = vec![0xff; BLOCKS / 8];
    Model { id, claimed, free_blocks: 0, created_at: now, closed_at: Some(now) }
}

/// A random number from [`FIRST_IDS`] that no list has.
fn first_id(taken: &[i32]) -> Result<i32, ErrorStack> {
    let bound = usize::try_from(FIRST_IDS.end - FIRST_IDS.start).unwrap_or(1);
    loop {
        let id = FIRST_IDS.start + i32::try_from(random_below(bound)?).unwrap_or(0);
        if !taken.contains(&id) {
            return Ok(id);
        }
    }
}
