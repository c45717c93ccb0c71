//! Distinguishes revoked keys from retired ones, whose ID tokens are still accepted as
//! `id_token_hint`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_integer_null;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = big_integer_null("revoked_at");
        let table = Table::alter().table("signing_key").add_column(column).to_owned();
        manager.alter_table(table).await?;
        // It was not recorded before which removed keys were revoked, so all count as revoked.
        let mark = Query::update()
            .table("signing_key")
            .value("revoked_at", Expr::col("remove_at"))
            .and_where(Expr::col("state").eq("removed"))
            .to_owned();
        manager.execute(mark).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table("signing_key").drop_column("revoked_at").to_owned();
        manager.alter_table(table).await
    }
}
