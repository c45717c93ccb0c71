//! The receivers and the tokens of logout notices to clients (OpenID Connect Back-Channel Logout
//! 1.0). The notices are queued in the outbox, and `server/backchannel_delivery` sends them.

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

/// The `typ` of logout tokens, which distinguishes them from all other tokens.
const TOKEN_TYPE: &str = "logout+jwt";

/// The lifetime of a logout token.
const LIFETIME: Duration = Duration::from_mins(2);

/// For how long after its creation a notice is sent again if an attempt fails.
const MAX_DELIVERY_TIME: Duration = Duration::from_hours(24);

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

/// The back-channel logout URI of a client. `None` if the client no longer has a URI or was
/// deleted.
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
            exp: now.plus(LIFETIME).as_seconds(),
            jti: random_id()?,
            sid: notice.sid,
            events: json!({ "http://schemas.openid.net/event/backchannel-logout": {} }),
        },
    )
}

/// Schedules a failed notice for a retry, or drops it if it is too old.
///
/// # Errors
/// If the database refuses.
pub async fn postpone(db: &Db, item: &Item, now: Timestamp) -> Result<(), DbErr> {
    if db.retention_now() >= item.created_at.plus(MAX_DELIVERY_TIME) {
        tracing::warn!(client.id = item.receiver, "a logout notice was not delivered; given up");
        return outbox::forget(db, item.id).await;
    }
    outbox::postpone(db, item, now).await
}
