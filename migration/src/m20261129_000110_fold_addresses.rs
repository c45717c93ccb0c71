//! The folded form of an email address (NFKC and full case folding) must be unique.
//!
//! The application computes the folded form, because it has Unicode's tables. This migration adds
//! the column. It is null in existing rows, and in rows written by the previous version. In these
//! rows, the address in lower case must be unique, which for ASCII is the same as the folded form.
//! So this migration rewrites no row, and the index is correct for both versions.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{boolean, text_null};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// An index on an expression. The query builder does not support this for SQLite.
const UNIQUE: &str =
    "CREATE UNIQUE INDEX account_email_key ON account ((coalesce(email_folded, email_canonical)))";

const AMBIGUOUS: &str = "CREATE INDEX account_ambiguous_idx ON account (id) WHERE email_ambiguous";

/// An index on the rows whose address is not ASCII and whose folded form is not computed yet.
/// SQLite supports `octet_length` since 3.43, and a program with an older version could no longer
/// read the schema.
fn unfolded(backend: DbBackend) -> String {
    let bytes = match backend {
        DbBackend::Sqlite => "length(CAST(email_canonical AS BLOB))",
        _ => "octet_length(email_canonical)",
    };
    format!(
        "CREATE INDEX account_unfolded_idx ON account (id) WHERE email_folded IS NULL \
         AND NOT email_ambiguous AND {bytes} > length(email_canonical)"
    )
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite can add only one column per statement.
        for column in [text_null("email_folded"), boolean("email_ambiguous").default(false).take()]
        {
            let table = Table::alter().table("account").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        let unfolded = unfolded(manager.get_database_backend());
        for index in [UNIQUE, unfolded.as_str(), AMBIGUOUS] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["account_ambiguous_idx", "account_unfolded_idx", "account_email_key"] {
            manager.drop_index(Index::drop().name(name).table("account").to_owned()).await?;
        }
        for column in ["email_ambiguous", "email_folded"] {
            let table = Table::alter().table("account").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
