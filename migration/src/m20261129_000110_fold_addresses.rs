//! Addresses are unique by a folded form: NFKC and full case folding.
//!
//! The application computes the form, because it has Unicode's tables; this adds the column. It is
//! null in earlier rows and in those written by the previous version. Where it is null, uniqueness
//! applies to the address in lower case, which for ASCII is the folded form; so this step rewrites no
//! row, and the index is right for both versions.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{boolean, text_null};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The builder has no index on an expression for SQLite.
const UNIQUE: &str =
    "CREATE UNIQUE INDEX account_email_key ON account ((coalesce(email_folded, email_canonical)))";

const AMBIGUOUS: &str = "CREATE INDEX account_ambiguous_idx ON account (id) WHERE email_ambiguous";

/// Rows whose folded form is still to be made: those that are not ASCII. SQLite knows `octet_length` from
/// 3.43 on, and a program with an older one could not read the schema any more.
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
        // SQLite adds one column at a time.
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
