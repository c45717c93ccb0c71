//! The schedule of the signing keys, and the lease of the instance that performs its steps.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, text, uuid_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite can add only one column per statement.
        for column in ["activate_at", "remove_at"] {
            let table =
                Table::alter().table("signing_key").add_column(big_integer_null(column)).to_owned();
            manager.alter_table(table).await?;
        }
        // Two concurrent rotations create only one new key.
        let index = Index::create()
            .name("signing_key_one_pending_key")
            .table("signing_key")
            .col("state")
            .unique()
            .and_where(Expr::col("state").eq("pending"))
            .to_owned();
        manager.create_index(index).await?;

        let table = Table::create()
            .table("lease")
            .col(text("name").primary_key())
            .col(uuid_null("holder"))
            .col(big_integer("expires_at"))
            .to_owned();
        manager.create_table(table).await?;
        let row = Query::insert()
            .into_table("lease")
            .columns(["name", "expires_at"])
            .values_panic(["signing_keys".into(), 0.into()])
            .to_owned();
        manager.execute(row).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("lease").to_owned()).await?;
        let index =
            Index::drop().name("signing_key_one_pending_key").table("signing_key").to_owned();
        manager.drop_index(index).await?;
        for column in ["activate_at", "remove_at"] {
            let table = Table::alter().table("signing_key").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
