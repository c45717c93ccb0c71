//! The attempt windows: the recent attempts of each attempt key, shared by all instances.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, binary, json_binary};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("attempt")
            // HMAC of the limited client address or email address, so the table has no addresses.
            .col(binary("key").primary_key())
            // Times of the attempts that still count, oldest first.
            .col(json_binary("hits"))
            .col(big_integer_null("refused_at"))
            .col(big_integer("expires_at"))
            .to_owned();
        manager.create_table(table).await?;

        let index = Index::create()
            .name("attempt_expires_at_idx")
            .table("attempt")
            .col("expires_at")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("attempt").to_owned()).await
    }
}
