//! The scopes of a consent, per audience (RFC 8707).

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::json_binary_null;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Null in existing consents, and in consents written by the previous version, which does
        // not support audiences and reads only `scope`.
        let table =
            Table::alter().table("consent").add_column(json_binary_null("access")).to_owned();
        manager.alter_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table("consent").drop_column("access").to_owned();
        manager.alter_table(table).await
    }
}
