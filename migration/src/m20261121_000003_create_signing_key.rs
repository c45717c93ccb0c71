//! The key ring, shared by all instances. Private keys are sealed under the master key.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("signing_key")
            // RFC 7638 thumbprint of the public key.
            .col(text("kid").primary_key())
            .col(text("algorithm"))
            .col(text("state"))
            .col(text("public_jwk"))
            // JWE compact serialisation of the private JWK (RFC 7517 section 7).
            .col(text("sealed_jwk"))
            .col(big_integer("created_at"))
            .col(big_integer_null("activated_at"))
            .col(big_integer_null("retired_at"))
            .to_owned();
        manager.create_table(table).await?;

        // At most one key is active, even if several instances start on an empty database.
        let index = Index::create()
            .name("signing_key_one_active_key")
            .table("signing_key")
            .col("state")
            .unique()
            .and_where(Expr::col("state").eq("active"))
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("signing_key").to_owned()).await
    }
}
