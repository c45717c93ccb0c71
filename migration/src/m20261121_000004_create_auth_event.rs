//! The audit log. It has no foreign keys, because an event remains when its account or session is
//! deleted.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, pk_uuid, text, text_null, uuid_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("auth_event")
            // A UUIDv7, so the primary key is ordered by time.
            .col(pk_uuid("id"))
            .col(big_integer("at"))
            .col(text("type"))
            .col(text("outcome"))
            .col(text_null("reason"))
            .col(uuid_null("account_id"))
            .col(uuid_null("session_id"))
            .col(text_null("client_id"))
            .col(text_null("address"))
            .col(text_null("forwarded"))
            .col(text_null("user_agent"))
            .col(uuid_null("request_id"))
            .to_owned();
        manager.create_table(table).await?;

        // Operators search the log for the events of an account.
        let index = Index::create()
            .name("auth_event_account_id_idx")
            .table("auth_event")
            .col("account_id")
            .col("id")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("auth_event").to_owned()).await
    }
}
