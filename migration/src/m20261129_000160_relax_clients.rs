//! What most client libraries expect of a server: a nonce in the place of PKCE, a secret in either place,
//! and an ID token that says who somebody is.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::boolean;

const TABLE: &str = "client";
const COLUMNS: [&str; 3] = ["nonce_for_pkce", "either_secret_method", "id_token_claims"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // False: clients that are there, and those that the version before registers, stay as they are.
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
