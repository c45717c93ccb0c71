//! Challenges whose confirmation creates an account: the data of the sign-up.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{binary_null, text_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite can add only one column per statement.
        for column in [text_null("password_hash"), binary_null("invite_digest")] {
            let table = Table::alter().table("email_challenge").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The previous version has no such purpose.
        let sign_ups = Query::delete()
            .from_table("email_challenge")
            .and_where(Expr::col("purpose").eq("sign_up"))
            .to_owned();
        manager.exec_stmt(sign_ups).await?;
        for column in ["invite_digest", "password_hash"] {
            let table = Table::alter().table("email_challenge").drop_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
