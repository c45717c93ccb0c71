//! What people say of themselves: one JSON object, since nobody is looked up by it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, json_binary_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column a statement: SQLite adds no more at a time.
        for column in [json_binary_null("profile"), big_integer_null("profile_updated_at")] {
            let table = Table::alter().table("account").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["profile", "profile_updated_at"] {
            let table = Table::alter().table("account").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
