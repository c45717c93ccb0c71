//! Marks of `signet database copy`: a database that has moved, or a copy that is not complete.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};

const TABLE: &str = "database_copy";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // At most one row. A server does not start on a database that has one.
        let table = Table::create()
            .table(TABLE)
            // `moved` or `incomplete`.
            .col(text("state").primary_key())
            // The other database, without its password.
            .col(text("other"))
            .col(big_integer("at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(TABLE).to_owned()).await
    }
}
