//! Counts which hash classes accounts have, in portions so that each query is small.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::password::class::Class;
use crate::domain::password::stored::Stored;
use crate::entity::account::{Column, Entity};

/// Number of accounts in a portion, which takes some milliseconds to read.
const PORTION: u64 = 500;

/// One count of all accounts, in the order of their ids.
#[derive(Default)]
pub struct Survey {
    last: Option<Uuid>,
    accounts: BTreeMap<Class, u64>,
}

impl Survey {
    /// Counts the next portion. Returns false if no accounts were left.
    ///
    /// # Errors
    /// If the database refuses; the same portion can be retried.
    pub async fn count_next_portion(&mut self, db: &Db) -> Result<bool, DbErr> {
        let portion = Entity::find()
            .select_only()
            .columns([Column::Id, Column::PasswordHash])
            .apply_if(self.last, |portion, last| portion.filter(Column::Id.gt(last)))
            .order_by_asc(Column::Id)
            .limit(PORTION)
            .into_tuple::<(Uuid, Option<String>)>();
        let rows = db.read(|db| async move { portion.all(&db).await }).await?;
        for (id, hash) in &rows {
            self.last = Some(*id);
            if let Some(stored) = hash.as_deref().and_then(|hash| Stored::parse(hash).ok()) {
                *self.accounts.entry(stored.class()).or_default() += 1;
            }
        }
        Ok(!rows.is_empty())
    }

    /// How many of the accounts counted so far have a hash of each class.
    #[must_use]
    pub fn accounts(&self) -> &BTreeMap<Class, u64> {
        &self.accounts
    }
}
