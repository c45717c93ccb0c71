//! Claims that are requested by name (OpenID Connect Core 1.0 §5.5). They are stored with the code,
//! the session and the consent.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::json_binary_null;

const TABLES: [&str; 3] = ["authorization_code", "session", "consent"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Null where no claim was requested by name. The previous version does not support the
        // parameter, writes none of these columns, and deletes a consent as a whole.
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
