//! Invites to sign up.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary_len_uniq, pk_uuid, text, text_uniq,
};

const TABLE: &str = "invite";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(pk_uuid("id"))
            // SHA-256 of the token.
            .col(binary_len_uniq("digest", 32))
            .col(text("email"))
            // An address has one invite at most. There is no foreign key: the address has no
            // account yet.
            .col(text_uniq("email_folded"))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at"))
            // When the link was sent to the address by mail; null if an operator passed it on.
            .col(big_integer_null("mailed_at"))
            .to_owned();
        manager.create_table(table).await?;
        // Used to delete expired rows.
        let index =
            Index::create().name("invite_expires_at_idx").table(TABLE).col("expires_at").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
