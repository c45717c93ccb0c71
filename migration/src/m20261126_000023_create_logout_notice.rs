//! Undelivered notices of logouts to clients (OpenID Connect Back-Channel Logout 1.0).

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, pk_uuid, text, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("logout_notice")
            // The ended session. It ends once, so there is one notice.
            .col(pk_uuid("session_id"))
            // No foreign key, because the notice must remain when the account is deleted.
            .col(uuid("account_id"))
            .col(text("client_id"))
            .col(integer("attempts"))
            .col(big_integer("due_at"))
            .col(big_integer("created_at"))
            .foreign_key(
                ForeignKey::create()
                    .name("logout_notice_client_id_fkey")
                    .from("logout_notice", "client_id")
                    .to("client", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("logout_notice_due_at_idx")
            .table("logout_notice")
            .col("due_at")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("logout_notice").to_owned()).await
    }
}
