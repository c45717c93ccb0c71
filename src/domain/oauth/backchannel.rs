//! Telling clients of logouts (OpenID Connect Back-Channel Logout 1.0): where to, and what. They wait in
//! the outbox; who sends them is `server`.

use std::time::Duration;

use sea_orm::{DbErr, EntityTrait, QuerySelect};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::outbox::{self, Item};
use crate::domain::session::LogoutNotice;
use crate::domain::token::{Issuer, SigningError, random_id};
use crate::entity::client;
use crate::timestamp::Timestamp;

/// What keeps a logout token apart from everything else that is signed here.
const TOKEN_TYPE: &str = "logout+jwt";

/// How long a logout token is good for.
const LIFE: Duration = Duration::from_mins(2);

/// A client that could not be told for so long is not told any more.
const PERSISTENCE: Duration = Duration::from_hours(24);

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

/// Where a client is told of logouts; none if it does not want to be told any more, or is gone.
///
/// # Errors
/// If the database refuses.
pub async fn receiver(db: &Db, client_id: &str) -> Result<Option<String>, DbErr> {
    let uri = client::Entity::find_by_id(client_id)
        .select_only()
        .column(client::Column::BackchannelLogoutUri)
        .into_tuple::<Option<String>>();
    Ok(db.read(|db| async move { uri.one(&db).await }).await?.flatten())
}

/// Signs a logout token (§2.4).
///
/// # Errors
/// As [`Issuer::access_token`].
pub fn logout_token(
    issuer: &Issuer,
    client_id: &str,
    notice: &LogoutNotice,
    now: Timestamp,
) -> Result<String, SigningError> {
    issuer.sign_as(
        TOKEN_TYPE,
        &Claims {
            iss: issuer.iss(),
            sub: notice.sub,
            aud: client_id,
            iat: now.as_seconds(),
            exp: now.plus(LIFE).as_seconds(),
            jti: random_id()?,
            sid: notice.sid,
            events: json!({ "http://schemas.openid.net/event/backchannel-logout": {} }),
        },
    )
}

/// The client could not be told: it is tried again, if at all.
///
/// # Errors
/// If the database refuses.
pub async fn postpone(db: &Db, item: &Item, now: Timestamp) -> Result<(), DbErr> {
    if db.retention_now() >= item.created_at.plus(PERSISTENCE) {
        tracing::warn!(client.id = item.receiver, "a client was not told of a logout; given up");
        return outbox::forget(db, item.id).await;
    }
    outbox::postpone(db, item, now).await
}
