//! When each instance last wrote to the database, and when its writes were unreliable (outages).
//! These times distinguish a retry after a lost response from the use of a stolen token.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, integer, uuid};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // This table has one row. On SQLite each commit increments `writes`, so that the writer,
        // before it acknowledges a commit, can check that other connections see it. Only servers
        // increment `commits`: on SQLite with each commit, on PostgreSQL once a second. So a
        // command that is run on an older copy does not make the copy look newer. On SQLite,
        // `served_at` is the time of the server's last commit, and null after a clean stop.
        let table = Table::create()
            .table("database_state")
            .col(integer("id").primary_key())
            .col(big_integer("writes").default(0))
            .col(big_integer("commits").default(0))
            .col(big_integer_null("served_at"))
            .to_owned();
        manager.create_table(table).await?;
        let row = Query::insert()
            .into_table("database_state")
            .columns(["id", "commits"])
            .values_panic([1.into(), 0.into()])
            .to_owned();
        manager.execute(row).await?;

        // One row per instance on PostgreSQL. A clean stop deletes the row. If the instance is
        // killed, the row remains until it is too old to matter.
        let table = Table::create()
            .table("instance")
            .col(uuid("id").primary_key())
            .col(big_integer("beat_at"))
            .to_owned();
        manager.create_table(table).await?;

        let table = Table::create()
            .table("outage")
            .col(uuid("instance_id"))
            .col(big_integer("began_at"))
            // Null while the outage lasts.
            .col(big_integer_null("ended_at"))
            // True if the outage was overload by too many concurrent requests, which an attacker
            // can cause.
            .col(boolean("is_crowd").default(false))
            .primary_key(Index::create().col("instance_id").col("began_at"))
            .to_owned();
        manager.create_table(table).await?;
        let mut ended = Index::create().name("outage_ended_at_idx").table("outage").to_owned();
        manager.create_index(ended.col("ended_at").to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["outage", "instance", "database_state"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
