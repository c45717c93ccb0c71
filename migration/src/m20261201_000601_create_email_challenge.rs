//! Challenges that were mailed to an address, each with the device that may answer with the code.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary, text, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("email_challenge")
            // No foreign key: rows for addresses without an account have a random id.
            .col(uuid("account_id"))
            .col(text("purpose"))
            .col(binary("device_digest"))
            .col(big_integer("expires_at"))
            .primary_key(Index::create().col("account_id").col("purpose"))
            .to_owned();
        manager.create_table(table).await?;
        for (name, column) in [
            ("email_challenge_device_idx", "device_digest"),
            ("email_challenge_expires_at_idx", "expires_at"),
        ] {
            let index = Index::create().name(name).table("email_challenge").col(column).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("email_challenge").to_owned()).await
    }
}
