//! All sessions of an account can be ended at once: each session stores the session epoch of its
//! account, and a new epoch makes the sessions of earlier epochs invalid. An outbox queues the work
//! that remains for each session. The outbox also replaces the table of logout notices.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, integer_null, json_binary, pk_uuid, text,
};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Whether a session has the current epoch of its account, and the account is enabled. A volatile
/// function uses a new snapshot for each of its queries, so it sees what was committed while it
/// waited for the lock. The key of the lock is that of `database::account_lock`.
const IS_CURRENT: &str = "\
    CREATE FUNCTION signet_session_is_current(whose uuid, begun_in integer) RETURNS boolean \
    LANGUAGE plpgsql VOLATILE AS $$ BEGIN \
      PERFORM pg_advisory_xact_lock_shared(hashtextextended(whose::text, 0)); \
      RETURN EXISTS (SELECT 1 FROM account WHERE id = whose AND disabled_at IS NULL \
                     AND (begun_in IS NULL OR session_epoch = begun_in)); \
    END $$";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Steps that do not block readers come first. Adding a column locks the table until the
        // commit.
        let mut browsers = index_of_unended("session_live_browser_idx", &["account_id", "id"]);
        let browsers = browsers.and_where(Expr::col("cookie_digest").is_not_null()).to_owned();
        // Sessions are ended in portions. A portion begins after the last row of the previous one.
        let in_order = index_of_unended("session_unended_idx", &["account_id", "id"]);
        for index in [browsers, in_order] {
            manager.create_index(index).await?;
        }
        let outbox = Table::create()
            .table("outbox")
            // For a logout notice, the id of the session: it ends once, so there is one notice.
            .col(pk_uuid("id"))
            .col(text("kind"))
            // Each receiver has its own order, so that no receiver delays another.
            .col(text("receiver"))
            .col(json_binary("payload"))
            .col(integer("attempts"))
            .col(big_integer("due_at"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(outbox).await?;
        let by_receiver = ["kind", "receiver", "due_at"];
        for (name, columns) in
            [("outbox_receiver_idx", &by_receiver[..]), ("outbox_due_at_idx", &["kind", "due_at"])]
        {
            let mut index = Index::create();
            index.name(name).table("outbox");
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        add_columns(manager).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(IS_CURRENT).await?;
        }
        Ok(())
    }

    /// Fails while the outbox contains sessions to mark as ended, because the previous version
    /// would accept them. The previous version delivers the remaining logout notices.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let unfinished = Query::select()
            .column("id")
            .from("outbox")
            .and_where(Expr::col("kind").ne("logout_notice"))
            .limit(1)
            .to_owned();
        if db.query_one(&unfinished).await?.is_some() {
            return Err(DbErr::Migration(
                "sessions wait for their end in the outbox, and the previous version would not end \
                 them: run `signet serve` until `signet doctor` says that the outbox is empty"
                    .to_owned(),
            ));
        }
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let account_id = if is_postgres {
            "(payload ->> 'sub')::uuid"
        } else {
            "unhex(replace(payload ->> 'sub', '-', ''))"
        };
        db.execute_unprepared(&format!(
            "INSERT INTO logout_notice \
             (session_id, account_id, client_id, attempts, due_at, created_at) \
             SELECT id, {account_id}, receiver, attempts, due_at, created_at FROM outbox \
             WHERE receiver IN (SELECT id FROM client) ON CONFLICT DO NOTHING"
        ))
        .await?;
        if is_postgres {
            db.execute_unprepared("DROP FUNCTION signet_session_is_current").await?;
        }
        manager.drop_table(Table::drop().table("outbox").to_owned()).await?;
        for index in
            ["session_unended_idx", "session_without_epoch_idx", "session_live_browser_idx"]
        {
            manager.drop_index(Index::drop().name(index).table("session").to_owned()).await?;
        }
        // The outbox has no sessions to mark, so all rows of deleted accounts have been deleted.
        let columns =
            [("session", "epoch"), ("account", "deleted_at"), ("account", "session_epoch")];
        for (table, column) in columns {
            let table = Table::alter().table(table).drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}

async fn add_columns(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // For a constant default, neither database rewrites the rows.
    let columns = [
        ("account", integer("session_epoch").default(0).to_owned()),
        ("account", big_integer_null("deleted_at")),
        ("session", integer_null("epoch").default(0).to_owned()),
    ];
    for (name, column) in columns {
        let table = Table::alter().table(name).add_column(column).to_owned();
        manager.alter_table(table).await?;
    }
    if manager.get_database_backend() == DbBackend::Postgres {
        // Sessions that an instance of the previous version creates from now on have no epoch.
        // SQLite has only one instance, and cannot drop a default.
        let sql = "ALTER TABLE session ALTER COLUMN epoch DROP DEFAULT";
        manager.get_connection().execute_unprepared(sql).await?;
    }
    let mut without_epoch = index_of_unended("session_without_epoch_idx", &["account_id"]);
    let without_epoch = without_epoch.and_where(Expr::col("epoch").is_null()).to_owned();
    manager.create_index(without_epoch).await
}

fn index_of_unended(name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table("session").to_owned();
    for column in columns {
        index.col(*column);
    }
    index.and_where(Expr::col("ended_at").is_null()).to_owned()
}
