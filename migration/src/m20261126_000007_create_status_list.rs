//! Status lists: which entries are used, and which of the used entries are invalid.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary, integer, integer_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let lists = Table::create()
            .table("status_list")
            .col(integer("id").primary_key())
            // One bit for each block of entries, which is set when an instance claims the block.
            .col(binary("claimed"))
            .col(integer("free_blocks"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(lists).await?;

        // A separate table, because these rows must remain when the account is deleted.
        let invalid = Table::create()
            .table("invalid_status")
            .col(integer("list_id"))
            .col(integer("idx"))
            .col(big_integer("since"))
            .primary_key(Index::create().col("list_id").col("idx"))
            .to_owned();
        manager.create_table(invalid).await?;
        // Every instance reads the new rows each second.
        let index = Index::create()
            .name("invalid_status_since_idx")
            .table("invalid_status")
            .col("since")
            .to_owned();
        manager.create_index(index).await?;

        // Null in sessions that are older than the lists. SQLite can add only one column per
        // statement.
        for column in ["status_list", "status_index"] {
            let table = Table::alter().table("session").add_column(integer_null(column)).to_owned();
            manager.alter_table(table).await?;
        }
        // No two sessions share an entry.
        let index = Index::create()
            .name("session_status_key")
            .table("session")
            .col("status_list")
            .col("status_index")
            .unique()
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("session_status_key").table("session").to_owned();
        manager.drop_index(index).await?;
        for column in ["status_list", "status_index"] {
            let table = Table::alter().table("session").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        manager.drop_table(Table::drop().table("invalid_status").to_owned()).await?;
        manager.drop_table(Table::drop().table("status_list").to_owned()).await
    }
}
