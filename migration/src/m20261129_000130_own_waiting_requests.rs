//! A pending authorization belongs to an account, which may have a limited number of them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::uuid_null;

const TABLE: &str = "pending_authorization";
const INDEX: &str = "pending_authorization_account_id_idx";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Null in rows of the previous version. The column has no foreign key, because it is only
        // used to count the rows of an account, and each row is deleted after 30 minutes.
        let table = Table::alter().table(TABLE).add_column(uuid_null("account_id")).to_owned();
        manager.alter_table(table).await?;
        let index = Index::create().name(INDEX).table(TABLE).col("account_id").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(INDEX).table(TABLE).to_owned()).await?;
        let table = Table::alter().table(TABLE).drop_column("account_id").to_owned();
        manager.alter_table(table).await
    }
}
