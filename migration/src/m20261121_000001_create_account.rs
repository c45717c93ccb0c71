//! Accounts. In every table, points in time are microseconds since the Unix epoch.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, pk_uuid, text, text_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("account")
            .col(pk_uuid("id"))
            // The address as the owner wrote it, normalised. It is displayed, and used for mail.
            .col(text("email"))
            // Equal for all spellings of an address. Of concurrent sign-ups with the same address,
            // the unique index admits one.
            .col(text("email_canonical"))
            .col(text_null("password_hash"))
            .col(big_integer_null("email_verified_at"))
            .col(big_integer_null("disabled_at"))
            .col(big_integer_null("last_login_at"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(table).await?;

        let index = Index::create()
            .name("account_email_canonical_key")
            .table("account")
            .col("email_canonical")
            .unique()
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("account").to_owned()).await
    }
}
