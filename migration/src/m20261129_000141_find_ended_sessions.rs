//! Indexes to find ended and expired sessions, which are deleted after a while.

use sea_orm_migration::prelude::*;

const ENDED: &str = "session_ended_idx";
const EXPIRED: &str = "session_expired_idx";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The index contains only ended sessions.
        let ended = Index::create()
            .name(ENDED)
            .table("session")
            .col("ended_at")
            .and_where(Expr::col("ended_at").is_not_null())
            .to_owned();
        manager.create_index(ended).await?;
        // The value never changes. New values are nearly the largest, so they are inserted at the
        // end of the index.
        let expired =
            Index::create().name(EXPIRED).table("session").col("absolute_expires_at").to_owned();
        manager.create_index(expired).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in [EXPIRED, ENDED] {
            manager.drop_index(Index::drop().name(name).table("session").to_owned()).await?;
        }
        Ok(())
    }
}
