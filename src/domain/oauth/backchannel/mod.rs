//! Telling clients of logouts (OpenID Connect Back-Channel Logout 1.0): what is due, what to send,
//! and when to try again. Who sends it is `server`.

mod shares;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::token::{Issuer, SigningError, random_id};
use crate::entity::client;
use crate::entity::logout_notice::{Column, Entity, Model};
use crate::timestamp::Timestamp;

pub use shares::{Answer, Shares};

/// What keeps a logout token apart from everything else that is signed here.
const TOKEN_TYPE: &str = "logout+jwt";

/// How long a logout token is good for.
const LIFE: Duration = Duration::from_mins(2);

/// How long one instance has for one attempt, before another may make it: more than a client may take
/// to answer.
const CLAIM: Duration = Duration::from_secs(15);

/// The first wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait.
const LAST_WAIT: Duration = Duration::from_hours(1);

/// A client that could not be told for so long is not told any more.
const PERSISTENCE: Duration = Duration::from_hours(24);

/// Notices that are read at once.
const BATCH: usize = 64;

/// A notice that this instance is to deliver now.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The notice.
    pub notice: Model,
    /// Where it goes.
    pub uri: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
    sid: Uuid,
    events: Value,
}

/// Takes what is due, as far as the clients' shares go: of several instances, one gets each notice.
/// If the database refuses, that is logged, and what was taken before is returned.
pub async fn take_due(db: &Db, shares: &mut Shares, now: Timestamp) -> Vec<Delivery> {
    let mut taken = Vec::new();
    shares.begin(now);
    while !shares.are_spent() {
        match take_some(db, shares, now).await {
            Ok((deliveries, is_all)) => {
                taken.extend(deliveries);
                if is_all {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the queue of logouts could not be read");
                break;
            }
        }
    }
    taken
}

/// One reading of the queue. Says whether that was all: if not, a client has enough now, and the next
/// reading looks past it.
async fn take_some(
    db: &Db,
    shares: &mut Shares,
    now: Timestamp,
) -> Result<(Vec<Delivery>, bool), DbErr> {
    let due = due(db, shares.closed(now), now).await?;
    let is_all = due.len() < BATCH;
    let wanted: Vec<_> =
        due.into_iter().filter(|notice| shares.take(&notice.client_id, now)).collect();
    if wanted.is_empty() {
        return Ok((Vec::new(), is_all));
    }
    let taken = take(db, &wanted).await;
    let ids: HashSet<_> = taken.iter().flatten().map(|it| it.notice.session_id).collect();
    for notice in wanted.iter().filter(|notice| !ids.contains(&notice.session_id)) {
        shares.give_back(&notice.client_id);
    }
    Ok((taken?, is_all))
}

/// What is due, oldest first, to clients other than `except`; [`BATCH`] at most.
async fn due(db: &Db, except: Vec<String>, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    let question = Entity::find()
        .filter(Column::DueAt.lte(now))
        .filter(Column::ClientId.is_not_in(except))
        .order_by_asc(Column::DueAt)
        .limit(u64::try_from(BATCH).unwrap_or(u64::MAX));
    db.read(|db| async move { question.all(&db).await }).await
}

/// Takes notices in order to deliver them. Those for clients that do not want to be told any more are
/// forgotten.
async fn take(db: &Db, notices: &[Model]) -> Result<Vec<Delivery>, DbErr> {
    let ids: Vec<_> = notices.iter().map(|notice| notice.session_id).collect();
    db.write(move |txn, now| {
        let ids = ids.clone();
        Box::pin(async move { take_in(txn, ids, now).await })
    })
    .await
}

async fn take_in(
    txn: &DatabaseTransaction,
    ids: Vec<Uuid>,
    now: Timestamp,
) -> Result<Vec<Delivery>, DbErr> {
    // What another instance is taking at this moment is left to it.
    let free = Entity::find()
        .filter(Column::SessionId.is_in(ids))
        .filter(Column::DueAt.lte(now))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(txn)
        .await?;
    let clients: HashSet<_> = free.iter().map(|notice| notice.client_id.clone()).collect();
    let clients = client::Entity::find().filter(client::Column::Id.is_in(clients)).all(txn).await?;
    let uris: HashMap<_, _> = clients
        .into_iter()
        .filter_map(|client| Some((client.id, client.backchannel_logout_uri?)))
        .collect();
    let (wanted, unwanted): (Vec<_>, Vec<_>) =
        free.into_iter().partition(|notice| uris.contains_key(&notice.client_id));
    let ids_of = |notices: &[Model]| notices.iter().map(|it| it.session_id).collect::<Vec<_>>();
    if !unwanted.is_empty() {
        let which = Column::SessionId.is_in(ids_of(&unwanted));
        Entity::delete_many().filter(which).exec(txn).await?;
    }
    if !wanted.is_empty() {
        Entity::update_many()
            .col_expr(Column::DueAt, Expr::value(now.plus(CLAIM)))
            .filter(Column::SessionId.is_in(ids_of(&wanted)))
            .exec(txn)
            .await?;
    }
    let deliveries = wanted.into_iter().filter_map(|notice| {
        let uri = uris.get(&notice.client_id)?.clone();
        Some(Delivery { notice, uri })
    });
    Ok(deliveries.collect())
}

/// Signs a logout token (§2.4).
///
/// # Errors
/// As [`Issuer::access_token`].
pub fn logout_token(
    issuer: &Issuer,
    notice: &Model,
    now: Timestamp,
) -> Result<String, SigningError> {
    issuer.sign_as(
        TOKEN_TYPE,
        &Claims {
            iss: issuer.iss(),
            sub: notice.account_id,
            aud: &notice.client_id,
            iat: now.as_seconds(),
            exp: now.plus(LIFE).as_seconds(),
            jti: random_id()?,
            sid: notice.session_id,
            events: json!({ "http://schemas.openid.net/event/backchannel-logout": {} }),
        },
    )
}

/// The client has been told, or will never be.
///
/// # Errors
/// If the database refuses.
pub async fn forget(db: &Db, session_id: Uuid) -> Result<(), DbErr> {
    db.write(move |txn, _| {
        Box::pin(async move { Entity::delete_by_id(session_id).exec(txn).await.map(drop) })
    })
    .await
}

/// The client could not be told: when to try again, if at all.
///
/// # Errors
/// If the database refuses.
pub async fn postpone(db: &Db, notice: &Model, now: Timestamp) -> Result<(), DbErr> {
    if now >= notice.created_at.plus(PERSISTENCE) {
        tracing::warn!(client.id = notice.client_id, "a client was not told of a logout; given up");
        return forget(db, notice.session_id).await;
    }
    let attempts = notice.attempts.saturating_add(1);
    let update = Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(attempts))
        .col_expr(Column::DueAt, Expr::value(now.plus(wait_after(attempts.unsigned_abs()))))
        .filter(Column::SessionId.eq(notice.session_id));
    db.write(move |txn, _| {
        let update = update.clone();
        Box::pin(async move { update.exec(txn).await.map(drop) })
    })
    .await
}

/// How long to wait after so many failures in a row.
fn wait_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_WAIT.saturating_mul(doubled).min(LAST_WAIT)
}
