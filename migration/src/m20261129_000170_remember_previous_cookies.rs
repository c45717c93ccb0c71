//! The cookie that a browser had before its login. Forms that were rendered before the login are
//! bound to this cookie.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::binary_len_null;

const COLUMN: &str = "previous_cookie_digest";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // No index, because the session is found by its current cookie or by its account.
        let column = binary_len_null(COLUMN, 32);
        let table = Table::alter().table("session").add_column(column).to_owned();
        manager.alter_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table("session").drop_column(COLUMN).to_owned();
        manager.alter_table(table).await
    }
}
