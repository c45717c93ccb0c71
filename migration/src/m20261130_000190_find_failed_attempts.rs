//! Which address somebody tried to log in to or sign up with, so that failures can be found by it.
//! Addresses that nobody has are not kept: this is the code that names their attempt window.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::binary_len_null;

const COLUMN: &str = "email_digest";
const INDEX: &str = "auth_event_email_digest_idx";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table =
            Table::alter().table("auth_event").add_column(binary_len_null(COLUMN, 32)).to_owned();
        manager.alter_table(table).await?;
        // Failures alone have one: other events write nothing to it.
        let index = Index::create()
            .name(INDEX)
            .table("auth_event")
            .col(COLUMN)
            .col("id")
            .and_where(Expr::col(COLUMN).is_not_null())
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(INDEX).table("auth_event").to_owned()).await?;
        let table = Table::alter().table("auth_event").drop_column(COLUMN).to_owned();
        manager.alter_table(table).await
    }
}
