//! Deletes a client with all of its sessions, codes and consents.
//!
//! Each transaction is short, even if the client has many users. Sessions are ended, and rows are
//! deleted, in portions. The last transaction handles only the sessions and rows that were added
//! meanwhile. Repeating the command completes an interrupted deletion.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::database::{Db, Portions, delete_all, lift_timeouts};
use crate::domain::audit::Kind;
use crate::domain::oauth::client::{ClientError, find, record};
use crate::domain::session;
use crate::entity::client::Entity;
use crate::entity::session::{self as session_row, EndReason};
use crate::entity::{authorization_code, consent, logout_notice, pending_authorization};
use crate::timestamp::Timestamp;

/// Maximum number of sessions ended per transaction.
const PORTION: u64 = 250;

/// The pause before a retry when other transactions have locked sessions.
const PAUSE: Duration = Duration::from_millis(50);

/// Maximum number of attempts to end the remaining sessions within one transaction, which locks the
/// client.
const MAX_ATTEMPTS_LOCKED: u32 = 10;

/// Maximum number of transactions that try to end the remaining sessions.
const MAX_ATTEMPTS: u32 = 100;

/// Deletes a client, ends all of its sessions, and deletes the rows that refer to it.
///
/// # Errors
/// See [`ClientError`]; then some sessions may have ended. The client is deleted only after all its
/// sessions have ended.
pub async fn delete(db: &Db, id: &str) -> Result<(), ClientError> {
    if find(db, id).await?.is_none() {
        return Err(ClientError::Unknown(id.to_owned()));
    }
    for _ in 0..MAX_ATTEMPTS {
        end_sessions(db, id).await?;
        delete_referring_rows(db, id).await?;
        let (id, db) = (id.to_owned(), db.without_timeout());
        let deleted = db.write(id, |txn, now, id| Box::pin(delete_in_transaction(txn, id, now)));
        match deleted.await {
            Err(ClientError::Busy(_)) => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
    Err(ClientError::Busy(id.to_owned()))
}

/// Ends the sessions of a client, in the order of accounts. Skips sessions that other transactions
/// have locked.
async fn end_sessions(db: &Db, id: &str) -> Result<(), DbErr> {
    let mut portions = Portions::of(db, PORTION);
    let mut from = Uuid::nil();
    loop {
        let id = id.to_owned();
        let portion = portions.run(move |txn, now, size| {
            let id = id.clone();
            Box::pin(async move {
                // The client is locked first, as in all transactions that refer to it.
                Entity::lock_registered(txn, &id).await?;
                let reason = EndReason::Revoked;
                session::end_portion_of_client(txn, &id, from, *size, reason, now).await
            })
        });
        match portion.await? {
            Some(last) => from = last,
            None => return Ok(()),
        }
    }
}

/// Deletes the rows that refer to the client, in portions. Otherwise the foreign keys would delete
/// all of them in the statement that deletes the client.
async fn delete_referring_rows(db: &Db, id: &str) -> Result<(), DbErr> {
    use {authorization_code as code, pending_authorization as pending};

    delete_all::<pending::Entity>(db, pending::Column::ClientId.eq(id)).await?;
    delete_all::<code::Entity>(db, code::Column::ClientId.eq(id)).await?;
    delete_all::<consent::Entity>(db, consent::Column::ClientId.eq(id)).await?;
    delete_all::<logout_notice::Entity>(db, logout_notice::Column::ClientId.eq(id)).await?;
    Ok(())
}

async fn delete_in_transaction(
    txn: &DatabaseTransaction,
    id: &str,
    now: Timestamp,
) -> Result<(), ClientError> {
    lift_timeouts(txn).await?;
    // The client is locked first. Transactions that add rows for the client take a shared lock on
    // it. If they have committed, their rows are found below; otherwise they wait.
    if Entity::find_by_id(id).lock_exclusive().one(txn).await?.is_none() {
        return Err(ClientError::Unknown(id.to_owned()));
    }
    end_remaining_sessions(txn, id, now).await?;
    Entity::delete_by_id(id).exec(txn).await?;
    Ok(record(txn, Kind::ClientDeleted, id, now).await?)
}

/// Ends sessions that have started meanwhile. The client must be locked, so that no further
/// sessions start.
///
/// Never waits for the lock of a session, because the transaction that holds the lock may be
/// waiting for the client. Retries instead, and finally returns [`ClientError::Busy`].
async fn end_remaining_sessions(
    txn: &DatabaseTransaction,
    id: &str,
    now: Timestamp,
) -> Result<(), ClientError> {
    let live = session_row::Entity::find()
        .select_only()
        .column(session_row::Column::Id)
        .filter(session_row::Entity::live_of_client(id, now))
        // This is the order of the index. Without it, PostgreSQL may scan the whole table to find
        // one row of many.
        .order_by_asc(session_row::Column::AccountId)
        .limit(1);
    for _ in 0..MAX_ATTEMPTS_LOCKED {
        let (mut from, reason) = (Uuid::nil(), EndReason::Revoked);
        while let Some(last) =
            session::end_portion_of_client(txn, id, from, PORTION, reason, now).await?
        {
            from = last;
        }
        if live.clone().into_tuple::<Uuid>().one(txn).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(ClientError::Busy(id.to_owned()))
}
