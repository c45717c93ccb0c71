//! Allocates status list entries. Each entry is used once across all instances, and its index
//! reveals nothing.
//!
//! A list is divided into blocks. An instance claims a random free block in a transaction, and
//! allocates the entries of the block in random order from memory. When the instance stops, the
//! entries that it has not allocated remain unused, and look like valid entries. So the lists
//! reveal neither the order nor the number of logins.

use std::time::Duration;

use openssl::error::ErrorStack;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use tokio::sync::Mutex;

use crate::database::Db;
use crate::domain::granted::StatusEntry;
use crate::domain::status::{BLOCK, BLOCKS};
use crate::entity::status_list::{ActiveModel, Column, Entity, Model};
use crate::timestamp::Timestamp;

/// The number of the first list.
const FIRST: i32 = 1;

/// Why no entry could be allocated.
#[derive(Debug, thiserror::Error)]
pub enum AllocationError {
    /// The operating system gave no random bytes.
    #[error("the random generator failed")]
    Random(#[from] ErrorStack),
    /// No list has a free entry, and none could be created.
    #[error("no status list has a free entry")]
    None,
    /// The database refused or failed.
    #[error("no status list entry could be assigned")]
    Database(#[from] DbErr),
}

/// How long an instance may allocate entries of a block. Without a limit, an instance that has no
/// logins for long could allocate entries of a list that has been deleted meanwhile.
const BLOCK_LIFE: Duration = Duration::from_hours(24);

/// The entries that this instance may allocate.
#[derive(Debug, Default)]
pub struct StatusEntries(Mutex<ClaimedBlock>);

#[derive(Debug, Default)]
struct ClaimedBlock {
    entries: Vec<StatusEntry>,
    claimed_at: Timestamp,
}

impl StatusEntries {
    /// Allocates an entry that no other session has or will have.
    ///
    /// # Errors
    /// See [`AllocationError`].
    pub async fn allocate(&self, db: &Db, now: Timestamp) -> Result<StatusEntry, AllocationError> {
        // The lock is held while a new block is claimed, so that concurrent calls wait for it and
        // do not claim further blocks.
        let mut block = self.0.lock().await;
        if block.entries.is_empty() || now.since(block.claimed_at) > BLOCK_LIFE {
            *block = ClaimedBlock { entries: shuffled(claim_block(db).await?)?, claimed_at: now };
        }
        block.entries.pop().ok_or(AllocationError::None)
    }
}

/// Creates the first list if there is none.
///
/// # Errors
/// If the database refuses.
pub async fn ensure_first_list(db: &Db) -> Result<(), DbErr> {
    let any = db.read(|db| async move {
        Entity::find().select_only().column(Column::Id).into_tuple::<i32>().one(&db).await
    });
    if any.await?.is_some() {
        return Ok(());
    }
    db.write((), move |txn, now, ()| Box::pin(create(txn, FIRST, now))).await
}

/// Creates a list without claimed blocks, unless a list with this number exists.
pub(super) async fn create(
    txn: &impl ConnectionTrait,
    id: i32,
    now: Timestamp,
) -> Result<(), DbErr> {
    let free_blocks = i32::try_from(BLOCKS).unwrap_or(i32::MAX);
    let claimed = vec![0; BLOCKS / 8];
    insert(txn, Model { id, claimed, free_blocks, created_at: now, closed_at: None }).await
}

pub(super) async fn insert(txn: &impl ConnectionTrait, list: Model) -> Result<(), DbErr> {
    Entity::insert(ActiveModel::from(list).reset_all())
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(txn)
        .await?;
    Ok(())
}

/// Claims a random free block of the oldest list with free blocks.
async fn claim_block(db: &Db) -> Result<Vec<StatusEntry>, AllocationError> {
    db.write((), move |txn, now, ()| {
        Box::pin(async move {
            // The list is locked, so that two instances never claim the same block.
            let list = Entity::find()
                .filter(Column::FreeBlocks.gt(0))
                .order_by_asc(Column::Id)
                .lock_exclusive()
                .one(txn)
                .await?
                .ok_or(AllocationError::None)?;
            let block = free_block(&list)?;
            let (id, free_blocks) = (list.id, list.free_blocks - 1);
            mark_claimed(txn, list, block).await?;
            if usize::try_from(free_blocks).is_ok_and(|free| free == BLOCKS / 2) {
                // The next list is created long before it is needed, so that every instance
                // publishes it by then.
                create(txn, id + 1, now).await?;
            }
            Ok(entries_of(id, block))
        })
    })
    .await
}

fn is_claimed(claimed: &[u8], block: usize) -> bool {
    claimed.get(block / 8).is_none_or(|byte| byte & (1 << (block % 8)) != 0)
}

fn free_block(list: &Model) -> Result<usize, AllocationError> {
    let free: Vec<_> = (0..BLOCKS).filter(|block| !is_claimed(&list.claimed, *block)).collect();
    let chosen = random_below(free.len())?;
    free.get(chosen).copied().ok_or(AllocationError::None)
}

async fn mark_claimed(txn: &impl ConnectionTrait, list: Model, block: usize) -> Result<(), DbErr> {
    let mut claimed = list.claimed;
    if let Some(byte) = claimed.get_mut(block / 8) {
        *byte |= 1 << (block % 8);
    }
    let changed = ActiveModel {
        id: Set(list.id),
        claimed: Set(claimed),
        free_blocks: Set(list.free_blocks - 1),
        ..Default::default()
    };
    changed.update(txn).await?;
    Ok(())
}

fn entries_of(list: i32, block: usize) -> Vec<StatusEntry> {
    let indexes = block * BLOCK..(block + 1) * BLOCK;
    indexes
        .filter_map(|index| i32::try_from(index).ok())
        .map(|index| StatusEntry { list, index })
        .collect()
}

/// The entries in random order (Fisher-Yates shuffle).
fn shuffled(mut entries: Vec<StatusEntry>) -> Result<Vec<StatusEntry>, ErrorStack> {
    for last in (1..entries.len()).rev() {
        entries.swap(last, random_below(last + 1)?);
    }
    Ok(entries)
}

/// A random number below `bound`, with a bias of one part in 2^50. This bias is acceptable, because
/// the numbers only hide an order. They are not keys.
pub(super) fn random_below(bound: usize) -> Result<usize, ErrorStack> {
    let mut bytes = [0; 8];
    openssl::rand::rand_bytes(&mut bytes)?;
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    Ok(usize::try_from(u64::from_le_bytes(bytes) % bound).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn blocks_of_a_list_contain_each_entry_once() {
        let all: BTreeSet<_> =
            (0..BLOCKS).flat_map(|block| entries_of(1, block)).map(|entry| entry.index).collect();

        assert_eq!(all.len(), crate::domain::status::ENTRIES);
        assert_eq!(all.last().copied(), i32::try_from(crate::domain::status::ENTRIES - 1).ok());
    }

    #[test]
    fn only_unclaimed_blocks_are_free() {
        let list = |claimed| Model {
            id: 1,
            claimed,
            free_blocks: 1,
            created_at: Timestamp::from_micros(0),
            closed_at: None,
        };
        let mut claimed = vec![0xff; BLOCKS / 8];

        assert!(free_block(&list(claimed.clone())).is_err());
        claimed[100] = 0b1110_1111;
        assert_eq!(free_block(&list(claimed)).unwrap(), 804);
    }

    /// MUST-189: entries are not allocated in sequence.
    #[test]
    fn shuffle_is_a_permutation_that_moves_most_entries() {
        let before = entries_of(1, 7);

        let after = shuffled(before.clone()).unwrap();

        let in_place = before.iter().zip(&after).filter(|(a, b)| a == b).count();
        assert!(in_place < 20, "{in_place}");
        let sorted =
            |entries: &[StatusEntry]| entries.iter().map(|it| it.index).collect::<BTreeSet<_>>();
        assert_eq!(sorted(&before), sorted(&after));
    }
}
