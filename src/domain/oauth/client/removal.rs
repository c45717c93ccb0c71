//! Taking a client off the registry, with all that it holds.

use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::database::{Db, take_time};
use crate::domain::audit::Kind;
use crate::domain::oauth::client::{ClientError, find, record};
use crate::domain::session;
use crate::entity::client::Entity;
use crate::entity::session::{self as session_row, EndReason};
use crate::timestamp::Timestamp;

/// Takes a client off the registry, and ends all sessions that it holds, however many: person by
/// person, so that nobody waits for all of them, and what is left with the client.
///
/// # Errors
/// See [`ClientError`]; then some sessions may have ended.
pub async fn delete(db: &Db, id: &str, now: Timestamp) -> Result<(), ClientError> {
    if find(db, id).await?.is_none() {
        return Err(ClientError::Unknown(id.to_owned()));
    }
    for account_id in holders(db, id, now).await? {
        let id = id.to_owned();
        db.write(move |txn, now| {
            let id = id.clone();
            Box::pin(async move {
                session::end_of_client(txn, account_id, &id, EndReason::Revoked, now).await
            })
        })
        .await?;
    }
    let id = id.to_owned();
    db.write_at_leisure(move |txn, now| {
        let id = id.clone();
        Box::pin(async move { delete_in(txn, id, now).await })
    })
    .await
}

/// The people for whom a client holds a live session.
async fn holders(db: &Db, id: &str, now: Timestamp) -> Result<Vec<Uuid>, DbErr> {
    let holders = session_row::Entity::find()
        .select_only()
        .distinct()
        .column(session_row::Column::AccountId)
        .filter(session_row::Column::ClientId.eq(id))
        .filter(session_row::Entity::live(now));
    db.read(|db| async move { holders.into_tuple().all(&db).await }).await
}

async fn delete_in(
    txn: &DatabaseTransaction,
    id: String,
    now: Timestamp,
) -> Result<(), ClientError> {
    take_time(txn).await?;
    // First: whoever begins something for the client keeps it, and whoever was first is found below.
    if Entity::find_by_id(&id).lock_exclusive().one(txn).await?.is_none() {
        return Err(ClientError::Unknown(id));
    }
    let live = session_row::Entity::find()
        .select_only()
        .column(session_row::Column::Id)
        .filter(session_row::Column::ClientId.eq(&id))
        .filter(session_row::Entity::live(now));
    let live: Vec<Uuid> = live.into_tuple().all(txn).await?;
    session::end_each(txn, &live, EndReason::Revoked, now).await?;
    Entity::delete_by_id(&id).exec(txn).await?;
    Ok(record(txn, Kind::ClientDeleted, &id, now).await?)
}
