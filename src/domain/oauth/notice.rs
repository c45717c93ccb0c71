//! The queue of logouts that clients are to be told of. It is written in the transaction that ends
//! the session, so that a crash forgets none.

use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityName, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use crate::entity::client;
use crate::entity::logout_notice::{Column, Entity};
use crate::entity::session;
use crate::timestamp::Timestamp;

/// Keeps the clients of these sessions that want to be told on the registry until the commit, before
/// the sessions are ended: whoever removes a client holds it first and then its sessions, and a notice
/// refers to both.
///
/// # Errors
/// If the database refuses.
pub async fn keep_receivers(txn: &impl ConnectionTrait, which: Condition) -> Result<(), DbErr> {
    if txn.get_database_backend() != DbBackend::Postgres {
        return Ok(()); // elsewhere there is one transaction at a time
    }
    let holders =
        session::Entity::find().select_only().column(session::Column::ClientId).filter(which);
    let receivers = client::Entity::find()
        .filter(client::Column::Id.in_subquery(holders.into_query()))
        .filter(client::Column::BackchannelLogoutUri.is_not_null())
        .order_by_asc(client::Column::Id)
        .lock(LockType::KeyShare);
    receivers.all(txn).await.map(drop)
}

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
