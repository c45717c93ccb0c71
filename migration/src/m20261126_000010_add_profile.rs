//! The profile of an account. It is one JSON object, because no query searches by its members.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, json_binary_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite can add only one column per statement.
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
