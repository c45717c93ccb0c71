//! Telling clients of logouts (OpenID Connect Back-Channel Logout 1.0): what is due, what to send,
//! and when to try again. Who sends it is `server`.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::token::{Issuer, SigningError, random_id};
use crate::entity::client;
use crate::entity::logout_notice::{Column, Entity, Model};
use crate::timestamp::Timestamp;

/// What keeps a logout token apart from everything else that is signed here.
const TOKEN_TYPE: &str = "logout+jwt";

/// How long a logout token is good for.
const LIFE: Duration = Duration::from_mins(2);

/// How long one instance has for one attempt, before another may make it.
const CLAIM: Duration = Duration::from_mins(1);

/// The first wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// After so many attempts, in about a day, a client is not told any more.
const MAX_ATTEMPTS: i32 = 15;

/// Notices that are taken at once.
const BATCH: u64 = 16;

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

/// Takes what is due: of several instances, one gets each.
///
/// # Errors
/// If the database refuses.
pub async fn take_due(db: &Db, now: Timestamp) -> Result<Vec<Delivery>, DbErr> {
    let question =
        Entity::find().filter(Column::DueAt.lte(now)).order_by_asc(Column::DueAt).limit(BATCH);
    let due = db.read(|db| async move { question.all(&db).await }).await?;
    let mut deliveries = Vec::with_capacity(due.len());
    for notice in due {
        let client = client::Entity::find_by_id(&notice.client_id);
        let client = db.read(|db| async move { client.one(&db).await }).await?;
        let uri = client.and_then(|client| client.backchannel_logout_uri);
        match uri {
            Some(uri) if claim(db, &notice, now).await? => {
                deliveries.push(Delivery { notice, uri });
            }
            Some(_) => {}
            None => forget(db, notice.session_id).await?,
        }
    }
    Ok(deliveries)
}

async fn claim(db: &Db, notice: &Model, now: Timestamp) -> Result<bool, DbErr> {
    let (id, due_at) = (notice.session_id, notice.due_at);
    let claimed = Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(now.plus(CLAIM)))
        .filter(Column::SessionId.eq(id))
        .filter(Column::DueAt.eq(due_at));
    db.write(move |txn| {
        let claimed = claimed.clone();
        Box::pin(async move { Ok(claimed.exec(txn).await?.rows_affected == 1) })
    })
    .await
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
    db.write(move |txn| {
        Box::pin(async move { Entity::delete_by_id(session_id).exec(txn).await.map(drop) })
    })
    .await
}

/// The client could not be told: when to try again, if at all.
///
/// # Errors
/// If the database refuses.
pub async fn postpone(db: &Db, notice: &Model, now: Timestamp) -> Result<(), DbErr> {
    let attempts = notice.attempts + 1;
    if attempts >= MAX_ATTEMPTS {
        tracing::warn!(client.id = notice.client_id, "a client was not told of a logout; given up");
        return forget(db, notice.session_id).await;
    }
    let id = notice.session_id;
    let doubled = 1 << attempts.clamp(0, 13).unsigned_abs();
    let update = Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(attempts))
        .col_expr(Column::DueAt, Expr::value(now.plus(FIRST_WAIT * doubled / 2)))
        .filter(Column::SessionId.eq(id));
    db.write(move |txn| {
        let update = update.clone();
        Box::pin(async move { update.exec(txn).await.map(drop) })
    })
    .await
}
