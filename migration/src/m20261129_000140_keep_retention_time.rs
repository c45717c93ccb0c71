//! The retention time, by which rows are deleted. Jumps of the wall clock do not change it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer_null;

const TABLE: &str = "database_state";

/// The retention time, and its value at the last start that advanced it by a period in which no
/// instance ran. Both are null until an instance of this version has been started.
const COLUMNS: [&str; 2] = ["retention_at", "retention_base"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            let column = big_integer_null(column);
            let table = Table::alter().table(TABLE).add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            let table = Table::alter().table(TABLE).drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
