//! Claims that are asked for by name (OpenID Connect Core 1.0 §5.5): in a code, in what comes of it, and in
//! what people have allowed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::json_binary_null;

const TABLES: [&str; 3] = ["authorization_code", "session", "consent"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Null where nothing was asked for in this way. An instance of the version before asks for
        // nothing so, writes none of these columns, and deletes a consent as a whole.
        for name in TABLES {
            let table =
                Table::alter().table(name).add_column(json_binary_null("claims")).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in TABLES {
            let table = Table::alter().table(name).drop_column("claims").to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
