//! Indexes that keep each statement's work the same, however many rows there are.
//!
//! Three columns of `session` are empty in nearly all rows. A whole index on such a column finds
//! "empty" too, and planners without statistics take an index on a unique column for the best there
//! is: a login counted all sessions. So these indexes leave the empty rows out. And each foreign
//! key has an index, since deleting what it refers to looks for the rows that refer.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

/// Index, its columns, whether it is unique, and its condition.
type Definition = (&'static str, &'static [&'static str], bool, fn() -> Expr);

/// What `session` gets. New names: the old indexes go last, since dropping one shuts everybody out
/// of the table (PostgreSQL), readers included, until the commit.
const NEW: [Definition; 3] = [
    ("session_cookie_key", &["cookie_digest"], true, || is_set("cookie_digest")),
    ("session_opened_in_idx", &["browser_session_id"], false, || is_set("browser_session_id")),
    ("session_status_entry_key", &["status_list", "status_index"], true, || is_set("status_list")),
];

/// Live sessions of a client, for its removal alone. On `lower(client_id)`, so that no other
/// statement uses it: without statistics PostgreSQL would take it for as good as the primary key,
/// and read all sessions of the client at each refresh.
const HOLDERS: &str = "CREATE INDEX session_live_holder_idx ON session \
     (lower(client_id), account_id, absolute_expires_at) WHERE ended_at IS NULL";

/// What took their place before.
const OLD: [(&str, &[&str], bool); 4] = [
    ("session_cookie_digest_key", &["cookie_digest"], true),
    ("session_browser_session_id_idx", &["browser_session_id"], false),
    ("session_status_key", &["status_list", "status_index"], true),
    ("session_live_client_idx", &["client_id", "absolute_expires_at"], false),
];

/// Indexes of other tables, which had none in their place.
const ADDED: [(&str, &str, &[&str]); 6] = [
    ("authorization_code_holder_idx", "authorization_code", &["account_id", "client_id"]),
    ("authorization_code_client_id_idx", "authorization_code", &["client_id"]),
    ("consent_client_id_idx", "consent", &["client_id"]),
    ("logout_notice_client_id_idx", "logout_notice", &["client_id"]),
    ("pending_authorization_browser_digest_idx", "pending_authorization", &["browser_digest"]),
    ("pending_authorization_client_idx", "pending_authorization", &["client_id", "browser_digest"]),
];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, columns) in ADDED {
            manager.create_index(index(name, table, columns, false)).await?;
        }
        for (name, columns, is_unique, condition) in NEW {
            let mut index = index(name, "session", columns, is_unique);
            manager.create_index(index.and_where(condition()).to_owned()).await?;
        }
        manager.get_connection().execute_unprepared(HOLDERS).await?;
        for (name, ..) in OLD {
            manager.drop_index(Index::drop().name(name).table("session").to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, columns, is_unique) in OLD {
            let mut index = index(name, "session", columns, is_unique);
            if name == "session_live_client_idx" {
                index.and_where(Expr::col("ended_at").is_null());
            }
            manager.create_index(index).await?;
        }
        for name in NEW.map(|(name, ..)| name).into_iter().chain(["session_live_holder_idx"]) {
            manager.drop_index(Index::drop().name(name).table("session").to_owned()).await?;
        }
        for (name, table, _) in ADDED {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn is_set(column: &'static str) -> Expr {
    Expr::col(column).is_not_null()
}

fn index(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
    is_unique: bool,
) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    if is_unique {
        index.unique();
    }
    index
}
