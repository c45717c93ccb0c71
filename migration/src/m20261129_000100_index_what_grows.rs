//! With these indexes, the work of a statement does not depend on the number of rows.
//!
//! Three columns of `session` are null in nearly all rows. A full index on such a column contains
//! the null rows, too. Planners without statistics prefer an index on a unique column, so a login
//! read all sessions to count those of its account. Therefore these indexes omit the null rows.
//! Each foreign key has an index, because the deletion of a referenced row searches for the
//! referring rows.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

/// The name of an index, its columns, whether it is unique, and its condition.
type Definition = (&'static str, &'static [&'static str], bool, fn() -> Expr);

/// The new indexes of `session`. They have new names, because the old indexes exist until the end
/// of the migration: on PostgreSQL, dropping them locks the table until the commit, even for
/// readers.
const NEW: [Definition; 3] = [
    ("session_cookie_key", &["cookie_digest"], true, || is_set("cookie_digest")),
    ("session_opened_in_idx", &["browser_session_id"], false, || is_set("browser_session_id")),
    ("session_status_entry_key", &["status_list", "status_index"], true, || is_set("status_list")),
];

/// An index on the sessions of a client that have not ended, used only to remove the client. It is
/// on `lower(client_id)`, so that no other statement uses it. Without statistics, PostgreSQL would
/// use it instead of the primary key, and read all sessions of the client at each refresh.
const SESSIONS_OF_CLIENT: &str = "CREATE INDEX session_live_holder_idx ON session \
     (lower(client_id), account_id, absolute_expires_at) WHERE ended_at IS NULL";

/// The indexes of `session` that the new ones replace.
const OLD: [(&str, &[&str], bool); 4] = [
    ("session_cookie_digest_key", &["cookie_digest"], true),
    ("session_browser_session_id_idx", &["browser_session_id"], false),
    ("session_status_key", &["status_list", "status_index"], true),
    ("session_live_client_idx", &["client_id", "absolute_expires_at"], false),
];

/// New indexes of other tables. They replace no other index.
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
        manager.get_connection().execute_unprepared(SESSIONS_OF_CLIENT).await?;
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
