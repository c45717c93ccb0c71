//! The accounts that were imported from another system, each with a digest of its imported state.
//! With these digests, a later import detects accounts that were changed or deleted since, and
//! leaves them as they are.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary_len, string_len, uuid};

const TABLE: &str = "imported_account";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            // Not a foreign key, because the row outlives the account.
            .col(uuid("account_id").primary_key())
            .col(string_len("source", 32))
            .col(binary_len("digest", 32))
            .col(big_integer("imported_at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
