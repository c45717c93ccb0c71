//! Requests that wait for a person, each in the browser that it began in.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, QueryFilter};

use crate::database::Db;
use crate::domain::oauth::authorize::AuthorizationRequest;
use crate::domain::oauth::client as registry;
use crate::domain::oauth::flow::FlowError;
use crate::domain::oauth::opaque::{Opaque, digest};
use crate::entity::pending_authorization;
use crate::timestamp::Timestamp;

/// How long a request waits for a person.
const PATIENCE: Duration = Duration::from_mins(30);

/// A request that waits for a person.
#[derive(Debug, Clone)]
pub struct Pending {
    /// What it is found by.
    pub digest: Vec<u8>,
    /// The request.
    pub request: AuthorizationRequest,
    /// When it came.
    pub asked_at: Timestamp,
}

/// Keeps a request until somebody has answered; returns the handle, which is of use in the browser
/// it began in alone. `None` if its client has been removed meanwhile.
///
/// # Errors
/// See [`FlowError`].
pub async fn keep(
    db: &Db,
    request: &AuthorizationRequest,
    browser_digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<String>, FlowError> {
    let handle = Opaque::draw("")?;
    let row = pending_authorization::Model {
        digest: handle.digest,
        browser_digest,
        client_id: request.client_id.clone(),
        request: serde_json::to_value(request)?,
        created_at: now,
        expires_at: now.plus(PATIENCE),
    };
    let is_kept = db
        .write(move |txn, _| {
            let row = row.clone();
            Box::pin(async move {
                let is_there = registry::keep(txn, &row.client_id).await?;
                if is_there {
                    let row = pending_authorization::ActiveModel::from(row).reset_all();
                    pending_authorization::Entity::insert(row).exec_without_returning(txn).await?;
                }
                Ok::<_, DbErr>(is_there)
            })
        })
        .await?;
    Ok(is_kept.then_some(handle.text))
}

/// The request behind a handle, in the browser that it began in.
///
/// # Errors
/// See [`FlowError`].
pub async fn find(
    db: &Db,
    handle: &str,
    browser_digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<Pending>, FlowError> {
    let question = pending_authorization::Entity::find_by_id(digest(handle))
        .filter(pending_authorization::Column::BrowserDigest.eq(browser_digest))
        .filter(pending_authorization::Column::ExpiresAt.gt(now));
    let Some(row) = db.read(|db| async move { question.one(&db).await }).await? else {
        return Ok(None);
    };
    let request = serde_json::from_value(row.request)?;
    Ok(Some(Pending { digest: row.digest, request, asked_at: row.created_at }))
}
