//! Columns for the sessions of browsers and clients: the cookie of a browser session, the browser
//! session through which a client session was opened, and the audience of the client's tokens.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{binary_len_null, text_null, uuid_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite can add only one column per statement, and no foreign key. `browser_session_id`
        // needs no foreign key, because both sessions are deleted with their account.
        let columns = [
            binary_len_null("cookie_digest", 32),
            uuid_null("browser_session_id"),
            text_null("audience"),
        ];
        for column in columns {
            let table = Table::alter().table("session").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        let index = Index::create()
            .name("session_cookie_digest_key")
            .table("session")
            .col("cookie_digest")
            .unique()
            .to_owned();
        manager.create_index(index).await?;
        // The logout of a browser session looks up the client sessions that were opened through it.
        let index = Index::create()
            .name("session_browser_session_id_idx")
            .table("session")
            .col("browser_session_id")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in ["session_cookie_digest_key", "session_browser_session_id_idx"] {
            manager.drop_index(Index::drop().name(index).table("session").to_owned()).await?;
        }
        for column in ["cookie_digest", "browser_session_id", "audience"] {
            let table = Table::alter().table("session").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
