//! The accounts that were imported, and what has happened to them here since.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder};
use sea_orm::{QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::Kind;
use crate::domain::import::digest;
use crate::entity::account::{self, Model};
use crate::entity::{auth_event, imported_account as imported};
use crate::timestamp::Timestamp;

/// An account that was imported. Accounts that signed up here and records that were refused are not
/// among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedAccount {
    /// The id of the account.
    pub id: Uuid,
    /// The format of the source, such as `django`.
    pub source: String,
    /// When the account was imported, or changed by a later import.
    pub imported_at: Timestamp,
    /// What has happened to the account here since.
    pub state: ImportedState,
}

/// What has happened to an imported account since its import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportedState {
    /// It was deleted here.
    Deleted,
    /// It exists.
    Exists {
        /// Its email address, as tokens contain it.
        email: String,
        /// Whether its email address was changed here, according to the audit log.
        is_email_changed: bool,
        /// Whether anything else was changed here: its password hash, its profile, whether it is
        /// disabled, or whether its address is verified. The first login may replace the hash.
        is_changed: bool,
    },
}

/// The first `count` imported accounts after the id `after`, in the order of ids.
///
/// # Errors
/// If the database refuses.
pub async fn list_imported(
    db: &Db,
    after: Option<Uuid>,
    count: u64,
) -> Result<Vec<ImportedAccount>, DbErr> {
    let page = imported::Entity::find()
        .apply_if(after, |page, id| page.filter(imported::Column::AccountId.gt(id)))
        .order_by_asc(imported::Column::AccountId)
        .limit(count);
    db.read(|db| async move {
        let records = page.all(&db).await?;
        let ids: Vec<Uuid> = records.iter().map(|record| record.account_id).collect();
        let accounts = account::Entity::find()
            .filter(account::Column::Id.is_in(ids.iter().copied()))
            .filter(account::Column::DeletedAt.is_null());
        let accounts: HashMap<Uuid, Model> =
            accounts.all(&db).await?.into_iter().map(|row| (row.id, row)).collect();
        let with_new_address = with_new_address(&db, ids).await?;
        let view = |record: imported::Model| {
            let row = accounts.get(&record.account_id);
            let is_email_changed = with_new_address.contains(&record.account_id);
            ImportedAccount {
                id: record.account_id,
                state: state(row, &record.digest, is_email_changed),
                source: record.source,
                imported_at: record.imported_at,
            }
        };
        Ok(records.into_iter().map(view).collect())
    })
    .await
}

fn state(row: Option<&Model>, digest: &[u8], is_email_changed: bool) -> ImportedState {
    let Some(row) = row else { return ImportedState::Deleted };
    ImportedState::Exists {
        email: row.email_claims().email,
        is_email_changed,
        is_changed: digest::of_account(row)[..] != *digest,
    }
}

/// The ids of the accounts, among these, whose email address was changed here, according to the
/// audit log.
async fn with_new_address(db: &DatabaseConnection, ids: Vec<Uuid>) -> Result<HashSet<Uuid>, DbErr> {
    let changes = auth_event::Entity::find()
        .select_only()
        .column(auth_event::Column::AccountId)
        .filter(auth_event::Column::AccountId.is_in(ids))
        .filter(ExprTrait::eq(auth_event::Column::Kind.into_expr(), Kind::EmailChanged.name()))
        .distinct();
    let ids: Vec<Option<Uuid>> = changes.into_tuple().all(db).await?;
    Ok(ids.into_iter().flatten().collect())
}
