//! The code flow: pending requests, consents, codes, and used assertions.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary_len, json_binary, text, text_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let pending = Table::create()
            .table("pending_authorization")
            // SHA-256 of the handle that the browser passes from page to page.
            .col(binary_len("digest", 32).primary_key())
            // SHA-256 of the cookie of the browser that sent the request.
            .col(binary_len("browser_digest", 32))
            .col(text("client_id"))
            .col(json_binary("request"))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at"))
            .foreign_key(&mut to_client("pending_authorization"))
            .to_owned();
        manager.create_table(pending).await?;

        let consent = Table::create()
            .table("consent")
            .col(uuid("account_id"))
            .col(text("client_id"))
            .col(text("scope"))
            .col(big_integer("granted_at"))
            .primary_key(Index::create().col("account_id").col("client_id"))
            .foreign_key(&mut to_account("consent"))
            .foreign_key(&mut to_client("consent"))
            .to_owned();
        manager.create_table(consent).await?;

        let code = Table::create()
            .table("authorization_code")
            // SHA-256 of the code.
            .col(binary_len("digest", 32).primary_key())
            .col(text("client_id"))
            .col(uuid("account_id"))
            .col(uuid("browser_session_id"))
            .col(text("redirect_uri"))
            .col(text("scope"))
            .col(text("audience"))
            .col(text_null("nonce"))
            .col(text_null("code_challenge"))
            .col(big_integer("auth_time"))
            .col(big_integer("expires_at"))
            .col(big_integer_null("redeemed_at"))
            // The session that the code opened, so that a second use of the code can end it.
            .col(uuid_null("session_id"))
            .foreign_key(&mut to_account("authorization_code"))
            .foreign_key(&mut to_client("authorization_code"))
            .to_owned();
        manager.create_table(code).await?;

        let assertion = Table::create()
            .table("used_assertion")
            // SHA-256 of the client and the assertion's `jti`.
            .col(binary_len("digest", 32).primary_key())
            .col(big_integer("expires_at"))
            .to_owned();
        manager.create_table(assertion).await?;

        for table in ["pending_authorization", "authorization_code", "used_assertion"] {
            // Used to delete expired rows.
            let index = Index::create()
                .name(format!("{table}_expires_at_idx"))
                .table(table)
                .col("expires_at")
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["used_assertion", "authorization_code", "consent", "pending_authorization"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn to_account(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_account_id_fkey"))
        .from(table, "account_id")
        .to("account", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

fn to_client(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_client_id_fkey"))
        .from(table, "client_id")
        .to("client", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
