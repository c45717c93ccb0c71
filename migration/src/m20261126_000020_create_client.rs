//! Clients: programs that may request tokens (RFC 6749 §2).

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, binary_len_null, boolean, json_binary, text, text_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("client")
            .col(text("id").primary_key())
            .col(text("name"))
            .col(text("application_type"))
            .col(text("auth_method"))
            // SHA-256 of 256 random bits. A slower hash would not be more secure. During a
            // rotation, the client has two secrets.
            .col(binary_len_null("secret_digest", 32))
            .col(binary_len_null("previous_secret_digest", 32))
            .col(text_null("jwks"))
            .col(json_binary("redirect_uris"))
            .col(json_binary("post_logout_redirect_uris"))
            .col(text_null("backchannel_logout_uri"))
            .col(json_binary("grants"))
            .col(json_binary("scopes"))
            .col(json_binary("audiences"))
            .col(json_binary("introspects"))
            .col(big_integer("access_token_seconds"))
            .col(boolean("pkce_required"))
            .col(text("consent"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("client").to_owned()).await
    }
}
