//! The expiry of an account's newest reset token. It identifies the token, so a newer token voids
//! the older ones.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer_null;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter()
            .table("account")
            .add_column(big_integer_null("reset_expires_at"))
            .to_owned();
        manager.alter_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table("account").drop_column("reset_expires_at").to_owned();
        manager.alter_table(table).await
    }
}
