//! An id that changes with each restore of an older backup, and the closing of status lists.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, uuid_null};

const STATE: &str = "database_state";
const LIST: &str = "status_list";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `signet restored` sets a random id and the current time. Both are null in a database that
        // was never restored.
        let id = Table::alter().table(STATE).add_column(uuid_null("restore_id")).to_owned();
        manager.alter_table(id).await?;
        let at = Table::alter().table(STATE).add_column(big_integer_null("restored_at")).to_owned();
        manager.alter_table(at).await?;
        // In a closed list, all sessions count as ended.
        let closed =
            Table::alter().table(LIST).add_column(big_integer_null("closed_at")).to_owned();
        manager.alter_table(closed).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [(LIST, "closed_at"), (STATE, "restored_at"), (STATE, "restore_id")]
        {
            let table = Table::alter().table(table).drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
