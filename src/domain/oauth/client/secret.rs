//! Client secret rotation without downtime: the current and the previous secret are both valid.

use sea_orm::sea_query::LockType;
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect};

use crate::database::Db;
use crate::domain::oauth::client::{ClientError, SECRET_PREFIX, store_changed};
use crate::domain::secret::Secret;
use crate::entity::client::{Entity, Model};

/// Creates a new secret for a client. The previous secret stays valid until the next rotation, or
/// becomes invalid immediately if `invalidates_previous` is true. Older secrets become invalid.
///
/// # Errors
/// See [`ClientError`].
pub async fn rotate(db: &Db, id: &str, invalidates_previous: bool) -> Result<String, ClientError> {
    let id = id.to_owned();
    db.write(id, move |txn, now, id| {
        Box::pin(async move {
            let mut row = lock_client(txn, id).await?;
            let secret = Secret::generate(SECRET_PREFIX)?;
            let previous = row.secret_digest.replace(secret.digest);
            row.previous_secret_digest = previous.filter(|_| !invalidates_previous);
            store_changed(txn, row, now).await?;
            Ok(secret.text)
        })
    })
    .await
}

/// Invalidates the previous secret. This should be done when the client uses the new secret.
///
/// # Errors
/// See [`ClientError`].
pub async fn drop_previous(db: &Db, id: &str) -> Result<(), ClientError> {
    let id = id.to_owned();
    db.write(id, move |txn, now, id| {
        Box::pin(async move {
            let mut row = lock_client(txn, id).await?;
            if row.previous_secret_digest.take().is_some() {
                store_changed(txn, row, now).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Locks a client for changes until the commit. The client must have a secret.
async fn lock_client(txn: &impl ConnectionTrait, id: &str) -> Result<Model, ClientError> {
    let row = Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(txn).await?;
    let row = row.ok_or_else(|| ClientError::Unknown(id.to_owned()))?;
    if row.secret_digest.is_none() {
        return Err(ClientError::NoSecret(id.to_owned()));
    }
    Ok(row)
}
