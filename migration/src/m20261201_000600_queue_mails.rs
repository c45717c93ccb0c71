//! Mails are queued in the outbox. This needs no change of the schema, but the migration back to
//! the previous version deletes them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }

    /// Deletes the mails that were not sent, because the previous version would never send them.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut mails = Query::delete();
        let is_mail = Expr::col("kind").is_in(["mail", "dead_mail"]);
        mails.from_table("outbox").and_where(is_mail);
        manager.get_connection().execute(&mails).await.map(drop)
    }
}
