//! Status lists: which of their entries are taken, and which of these are no longer valid.

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
            // One bit for each block of entries that an instance has taken.
            .col(binary("claimed"))
            .col(integer("free_blocks"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(lists).await?;

        // Apart from the session, so that it outlives an account that is deleted.
        let invalid = Table::create()
            .table("invalid_status")
            .col(integer("list_id"))
            .col(integer("idx"))
            .col(big_integer("since"))
            .primary_key(Index::create().col("list_id").col("idx"))
            .to_owned();
        manager.create_table(invalid).await?;
        // Every instance asks each second what has been added.
        let index = Index::create()
            .name("invalid_status_since_idx")
            .table("invalid_status")
            .col("since")
            .to_owned();
        manager.create_index(index).await?;

        // Empty in sessions that began before there were lists. One column a statement: SQLite adds
        // no more at a time.
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
