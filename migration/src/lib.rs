//! The migrations of the schema, in order.
//!
//! Migrations name tables and columns by strings and never use the entities of the application,
//! because a migration must have the same effect in all later versions. All pending migrations run
//! in one transaction, which `database::schema` opens. For the target of a copy, `database::copy`
//! opens it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, Statement};
use sea_orm_migration::seaql_migrations;

mod m20261121_000001_create_account;
mod m20261121_000002_create_session;
mod m20261121_000003_create_signing_key;
mod m20261121_000004_create_auth_event;
mod m20261121_000005_create_attempt;
mod m20261121_000006_schedule_signing_keys;
mod m20261126_000007_create_status_list;
mod m20261126_000010_add_profile;
mod m20261126_000020_create_client;
mod m20261126_000021_open_sessions_to_clients; // columns of sessions outside the JSON API
mod m20261126_000022_create_authorization;
mod m20261126_000023_create_logout_notice;
mod m20261126_000050_bind_reset_tokens; // only the newest reset token is valid
mod m20261126_000060_mark_revoked_keys;
mod m20261126_000061_tell_consents_apart_by_audience;
mod m20261126_000070_ask_for_claims; // claims that clients request by name
mod m20261126_000080_find_live_sessions; // indexes
mod m20261129_000090_record_outages;
mod m20261129_000100_index_what_grows; // indexes on tables that grow
mod m20261129_000110_fold_addresses;
mod m20261129_000120_end_sessions_by_epoch;
mod m20261129_000130_own_waiting_requests; // counts pending authorizations per account
mod m20261129_000140_keep_retention_time;
mod m20261129_000141_find_ended_sessions; // indexes
mod m20261129_000150_tell_restores; // detects restores, and closes status lists
mod m20261129_000160_relax_clients; // settings that common client libraries need
mod m20261129_000170_remember_previous_cookies;
mod m20261129_000180_tell_attempts_under_way; // attempts that have no verdict yet
mod m20261130_000190_find_failed_attempts; // the digest of the address in audit events
mod m20261201_000300_record_imports;
mod m20261201_000400_mark_copied_databases;
mod m20261201_000500_create_invite;
mod m20261201_000600_queue_mails;
mod m20261201_000601_create_email_challenge;
mod m20261202_000200_change_addresses; // email addresses
mod m20261203_000100_confirm_sign_ups; // sign-ups that wait for a confirmation by mail

pub use sea_orm_migration::MigratorTrait;

/// Applies and reverts migrations.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_account::Migration),
            Box::new(m20261121_000002_create_session::Migration),
            Box::new(m20261121_000003_create_signing_key::Migration),
            Box::new(m20261121_000004_create_auth_event::Migration),
            Box::new(m20261121_000005_create_attempt::Migration),
            Box::new(m20261121_000006_schedule_signing_keys::Migration),
            Box::new(m20261126_000007_create_status_list::Migration),
            Box::new(m20261126_000010_add_profile::Migration),
            Box::new(m20261126_000020_create_client::Migration),
            Box::new(m20261126_000021_open_sessions_to_clients::Migration),
            Box::new(m20261126_000022_create_authorization::Migration),
            Box::new(m20261126_000023_create_logout_notice::Migration),
            Box::new(m20261126_000050_bind_reset_tokens::Migration),
            Box::new(m20261126_000060_mark_revoked_keys::Migration),
            Box::new(m20261126_000061_tell_consents_apart_by_audience::Migration),
            Box::new(m20261126_000070_ask_for_claims::Migration),
            Box::new(m20261126_000080_find_live_sessions::Migration),
            Box::new(m20261129_000090_record_outages::Migration),
            Box::new(m20261129_000100_index_what_grows::Migration),
            Box::new(m20261129_000110_fold_addresses::Migration),
            Box::new(m20261129_000120_end_sessions_by_epoch::Migration),
            Box::new(m20261129_000130_own_waiting_requests::Migration),
            Box::new(m20261129_000140_keep_retention_time::Migration),
            Box::new(m20261129_000141_find_ended_sessions::Migration),
            Box::new(m20261129_000150_tell_restores::Migration),
            Box::new(m20261129_000160_relax_clients::Migration),
            Box::new(m20261129_000170_remember_previous_cookies::Migration),
            Box::new(m20261129_000180_tell_attempts_under_way::Migration),
            Box::new(m20261130_000190_find_failed_attempts::Migration),
            Box::new(m20261201_000300_record_imports::Migration),
            Box::new(m20261201_000400_mark_copied_databases::Migration),
            Box::new(m20261201_000500_create_invite::Migration),
            Box::new(m20261201_000600_queue_mails::Migration),
            Box::new(m20261201_000601_create_email_challenge::Migration),
            Box::new(m20261202_000200_change_addresses::Migration),
            Box::new(m20261203_000100_confirm_sign_ups::Migration),
        ]
    }
}

/// The versions of the migrations that were applied to a database, oldest first. Changes nothing.
///
/// # Errors
/// If the database cannot be read.
pub async fn applied<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, DbErr>
where
    for<'c> &'c C: IntoSchemaManagerConnection<'c>,
{
    if !has_table(db, "seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let rows = seaql_migrations::Entity::find()
        .order_by_asc(seaql_migrations::Column::Version)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Whether a table exists in the current schema of PostgreSQL. Reads `pg_class`, because the views
/// of `information_schema`, which [`SchemaManager`] reads, take several milliseconds on a new
/// connection.
const HAS_TABLE: &str = "\
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = current_schema() AND c.relname = $1 AND c.relkind IN ('r', 'p'))";

/// As [`HAS_TABLE`], for a column.
const HAS_COLUMN: &str = "\
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_attribute a ON a.attrelid = c.oid WHERE n.nspname = current_schema() \
    AND c.relname = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped)";

/// Whether the table exists, regardless of the recorded migrations. Changes nothing.
///
/// # Errors
/// If the database cannot be read.
pub async fn has_table<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, DbErr>
where
    for<'c> &'c C: IntoSchemaManagerConnection<'c>,
{
    match db.get_database_backend() {
        DbBackend::Postgres => exists(db, HAS_TABLE, [name.into()]).await,
        _ => SchemaManager::new(db).has_table(name).await,
    }
}

/// Whether the table has the column, regardless of the recorded migrations. Changes nothing.
///
/// # Errors
/// If the database cannot be read.
pub async fn has_column<C: ConnectionTrait>(db: &C, table: &str, name: &str) -> Result<bool, DbErr>
where
    for<'c> &'c C: IntoSchemaManagerConnection<'c>,
{
    match db.get_database_backend() {
        DbBackend::Postgres => exists(db, HAS_COLUMN, [table.into(), name.into()]).await,
        _ => SchemaManager::new(db).has_column(table, name).await,
    }
}

async fn exists<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<bool, DbErr> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let row = db.query_one_raw(statement).await?;
    row.map_or(Ok(false), |row| row.try_get_by_index(0))
}
