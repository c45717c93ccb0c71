//! Forms that used a link or a code of a mail within the last minute.
//!
//! A link and a code can be used once. But a form that is sent twice, for example by a double
//! click, gets the same response twice: the browser shows only the second one, which must not say
//! that the link is invalid.

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set};

use crate::database::Db;
use crate::domain::keys::LimitKey;
use crate::entity::used_assertion::{ActiveModel, Column, Entity};
use crate::timestamp::Timestamp;

/// How long the repetition of a form gets the same response.
const LIFE: Duration = Duration::from_mins(1);

/// The digest of the path and all fields of a form.
#[derive(Debug, Clone)]
pub struct FormDigest(Vec<u8>);

impl FormDigest {
    /// The HMAC of the path and the fields. A plain digest would let a thief of the database guess
    /// the password in the form. `None` if OpenSSL fails, which happens only when memory is
    /// exhausted.
    #[must_use]
    pub fn of(key: &LimitKey, path: &str, fields: &[(&str, &str)]) -> Option<Self> {
        let mut parts = vec!["form", path];
        parts.extend(fields.iter().flat_map(|(name, value)| [*name, *value]));
        let digest = key.mac(&parts);
        (!digest.is_empty()).then_some(Self(digest))
    }
}

/// Records that a form has used its link or code, within the transaction that uses it. Does nothing
/// without a form: the JSON API reports each repetition as an error.
///
/// # Errors
/// If the database refuses.
pub async fn record(
    txn: &impl ConnectionTrait,
    form: Option<&FormDigest>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let Some(FormDigest(digest)) = form else { return Ok(()) };
    let row = ActiveModel { digest: Set(digest.clone()), expires_at: Set(now.plus(LIFE)) };
    Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Digest).do_nothing().to_owned())
        .exec_without_returning(txn)
        .await
        .map(drop)
}

/// Whether an equal form has used its link or code within the last minute.
///
/// # Errors
/// If the database refuses.
pub async fn is_repetition(db: &Db, form: &FormDigest, now: Timestamp) -> Result<bool, DbErr> {
    let found = Entity::find_by_id(form.0.clone()).filter(Column::ExpiresAt.gt(now));
    Ok(db.read(|db| async move { found.one(&db).await }).await?.is_some())
}
