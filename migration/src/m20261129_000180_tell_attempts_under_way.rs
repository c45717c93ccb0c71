//! The attempts of a window that have no verdict yet. Later attempts wait for these verdicts.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::json_binary_null;

const COLUMN: &str = "under_way";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table("attempt").add_column(json_binary_null(COLUMN)).to_owned();
        manager.alter_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table("attempt").drop_column(COLUMN).to_owned();
        manager.alter_table(table).await
    }
}
