//! Indexes to find the live sessions of an account, or of a client that is removed, without reading
//! the ended sessions.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A refresh changes none of these columns, so it does not write to the indexes.
        for (name, first) in
            [("session_live_account_idx", "account_id"), ("session_live_client_idx", "client_id")]
        {
            let index = Index::create()
                .name(name)
                .table("session")
                .col(first)
                .col("absolute_expires_at")
                .and_where(Expr::col("ended_at").is_null())
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["session_live_account_idx", "session_live_client_idx"] {
            manager.drop_index(Index::drop().name(name).table("session").to_owned()).await?;
        }
        Ok(())
    }
}
