//! Logout notices in the outbox (OpenID Connect Back-Channel Logout 1.0). They are written in the
//! transaction that ends the session. `server/backchannel_delivery` delivers them, with tokens from
//! `oauth::backchannel`.

use std::collections::BTreeSet;

use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::outbox::{self, Item, Kind};
use crate::domain::session::FIRST_PARTY_CLIENT;
use crate::entity::client;
use crate::entity::logout_notice as old;
use crate::entity::session;
use crate::timestamp::Timestamp;

/// Number of old notices that one transaction moves.
const NOTICES_PER_TRANSACTION: u64 = 500;

/// The content of a logout notice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogoutNotice {
    /// The session that ended: the `sid` of its tokens.
    pub sid: Uuid,
    /// The account of the session.
    pub sub: Uuid,
}

/// Queues one notice for each of these sessions, if its client has a back-channel logout URI.
///
/// # Errors
/// If the database refuses.
pub async fn notify_clients(
    txn: &impl ConnectionTrait,
    sessions: &[session::Model],
    now: Timestamp,
) -> Result<(), DbErr> {
    let clients: BTreeSet<_> = sessions.iter().map(|session| session.client_id.clone()).collect();
    if clients.iter().all(|client| client == FIRST_PARTY_CLIENT) {
        return Ok(());
    }
    let receivers = client::Entity::find()
        .select_only()
        .column(client::Column::Id)
        .filter(client::Column::Id.is_in(clients))
        .filter(client::Column::BackchannelLogoutUri.is_not_null());
    let receivers: BTreeSet<String> = receivers.into_tuple().all(txn).await?.into_iter().collect();
    let notices = sessions.iter().filter(|session| receivers.contains(&session.client_id));
    let notices = notices.map(|it| notice(it.id, it.account_id, it.client_id.clone(), now));
    outbox::enqueue(txn, notices.collect::<Result<_, _>>()?).await
}

fn notice(sid: Uuid, sub: Uuid, client: String, now: Timestamp) -> Result<Item, DbErr> {
    Item::new(sid, Kind::LogoutNotice, client, &LogoutNotice { sid, sub }, now)
}

/// Moves due notices from the table `logout_notice`, in which instances of the previous version
/// queue them, to the outbox. Notices that are being delivered are not due, so they are not moved.
/// The next version can remove this function, together with the table.
///
/// # Errors
/// If the database refuses.
pub async fn adopt_old(db: &Db) -> Result<(), DbErr> {
    let due = old::Entity::find()
        .filter(old::Column::DueAt.lte(db.clock().now()))
        .limit(NOTICES_PER_TRANSACTION);
    let any = due.clone().limit(1);
    if db.read(|db| async move { any.one(&db).await }).await?.is_none() {
        return Ok(());
    }
    db.write(due, move |txn, now, due| {
        Box::pin(async move { adopt_in_transaction(txn, due, now).await })
    })
    .await
}

async fn adopt_in_transaction(
    txn: &DatabaseTransaction,
    due: &sea_orm::Select<old::Entity>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let due =
        due.clone().lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).all(txn).await?;
    let notices = due.iter().map(|row| {
        let item = notice(row.session_id, row.account_id, row.client_id.clone(), now)?;
        Ok(Item { attempts: row.attempts, created_at: row.created_at, ..item })
    });
    outbox::enqueue(txn, notices.collect::<Result<_, DbErr>>()?).await?;
    let ids = due.iter().map(|row| row.session_id);
    old::Entity::delete_many().filter(old::Column::SessionId.is_in(ids)).exec(txn).await.map(drop)
}
