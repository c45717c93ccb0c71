//! Deleting what has expired, so that nothing grows without end.

use std::time::Duration;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use crate::database::Db;
use crate::entity::{authorization_code, pending_authorization, used_assertion};

/// How long a spent code is remembered, so that whoever shows it again is found out.
const MEMORY: Duration = Duration::from_hours(24);

/// Deletes codes, waiting requests and assertions that can have no effect any more.
///
/// # Errors
/// If the database refuses.
pub async fn purge(db: &Db) -> Result<u64, DbErr> {
    db.write(move |txn, now| {
        Box::pin(async move {
            let codes = authorization_code::Entity::delete_many()
                .filter(authorization_code::Column::ExpiresAt.lt(now.minus(MEMORY)))
                .exec(txn)
                .await?;
            let requests = pending_authorization::Entity::delete_many()
                .filter(pending_authorization::Column::ExpiresAt.lt(now))
                .exec(txn)
                .await?;
            let assertions = used_assertion::Entity::delete_many()
                .filter(used_assertion::Column::ExpiresAt.lt(now))
                .exec(txn)
                .await?;
            Ok(codes.rows_affected + requests.rows_affected + assertions.rows_affected)
        })
    })
    .await
}
