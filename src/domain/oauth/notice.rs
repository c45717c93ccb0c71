//! The queue of logouts that clients are to be told of. It is written in the transaction that ends
//! the session, so that a crash forgets none.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityName};

use crate::entity::client;
use crate::entity::logout_notice::{Column, Entity};
use crate::entity::session;
use crate::timestamp::Timestamp;

/// Queues a notice for each session that meets `which` and whose client wants to be told; for none
/// twice.
///
/// # Errors
/// If the database refuses.
pub async fn enqueue(
    txn: &impl ConnectionTrait,
    which: Condition,
    now: Timestamp,
) -> Result<(), DbErr> {
    let mut sessions = Query::select();
    sessions
        .column((session::Entity, session::Column::Id))
        .column((session::Entity, session::Column::AccountId))
        .column((session::Entity, session::Column::ClientId))
        .expr(Expr::value(0))
        .expr(Expr::value(now))
        .expr(Expr::value(now))
        .from(session::Entity)
        .inner_join(
            client::Entity,
            Expr::col((client::Entity, client::Column::Id))
                .equals((session::Entity, session::Column::ClientId)),
        )
        .cond_where(which.add(client::Column::BackchannelLogoutUri.is_not_null()));
    let mut insert = Query::insert();
    insert
        .into_table(Entity.table_ref())
        .columns([
            Column::SessionId,
            Column::AccountId,
            Column::ClientId,
            Column::Attempts,
            Column::DueAt,
            Column::CreatedAt,
        ])
        .on_conflict(OnConflict::column(Column::SessionId).do_nothing().to_owned());
    insert
        .select_from(sessions)
        .map_err(|error| DbErr::Custom(format!("a statement cannot be built: {error}")))?;
    txn.execute(&insert).await?;
    Ok(())
}
