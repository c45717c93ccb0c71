//! A keyed digest of the address of a failed login or sign-up, so that failures can be found by
//! address without storing it. It is the key of the address's attempt window.

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
        // Only failures have a digest, so other events do not write to this index.
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
