//! Settings for what most client libraries expect of a server: a nonce instead of PKCE, the client
//! secret by either method, and an ID token with claims about the user.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::boolean;

const TABLE: &str = "client";
const COLUMNS: [&str; 3] = ["nonce_for_pkce", "either_secret_method", "id_token_claims"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // False, so existing clients, and clients that the previous version registers, do not
        // change.
        for column in COLUMNS {
            let column = boolean(column).default(false).to_owned();
            let table = Table::alter().table(TABLE).add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            let table = Table::alter().table(TABLE).drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
