//! Sessions: one row for each login. A refresh updates the row.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, pk_uuid, text, text_null, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("session")
            .col(pk_uuid("id"))
            .col(uuid("account_id"))
            .col(text("client_id"))
            .col(text("scope"))
            .col(big_integer("auth_time"))
            // The number of the newest refresh token. Tokens are computed from it, not stored.
            .col(big_integer("generation"))
            .col(big_integer_null("rotated_at"))
            .col(big_integer("idle_expires_at"))
            .col(big_integer("absolute_expires_at"))
            .col(text_null("address"))
            .col(text_null("user_agent"))
            .col(big_integer_null("ended_at"))
            .col(text_null("end_reason"))
            .foreign_key(
                ForeignKey::create()
                    .name("session_account_id_fkey")
                    .from("session", "account_id")
                    .to("account", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(table).await?;

        // Used to list and end the sessions of an account, and by the cascade.
        let index = Index::create()
            .name("session_account_id_idx")
            .table("session")
            .col("account_id")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("session").to_owned()).await
    }
}
