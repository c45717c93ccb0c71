//! Requests that wait for a person: for a login without a row
//! ([`sealed`](crate::domain::oauth::sealed)), and for a consent with one, which is of use in the
//! login it was written in alone.
//!
//! The row is what ends when the consent is taken back, and what a page that is loaded again is found by.
//! It stays when it has been answered: a form that is sent twice is answered twice, and the last code
//! counts. It is written for somebody who is logged in, and each account has a few at most.

use std::time::Duration;

use openssl::error::ErrorStack;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::oauth::authorization_request::AuthorizationRequest;
use crate::domain::oauth::secret::{Opaque, digest};
use crate::domain::session;
use crate::entity::client as client_row;
use crate::entity::pending_authorization::{ActiveModel, Column, Entity, Model};
use crate::timestamp::Timestamp;

/// How long a request waits for a person.
pub const PATIENCE: Duration = Duration::from_mins(30);

/// How many rows an account has at most: as many consent pages may be open at once. The oldest is
/// deleted for a new one.
const ROWS_PER_ACCOUNT: usize = 16;

/// Where a request is kept while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Nowhere yet: it has just come.
    Nowhere,
    /// In the browser, sealed.
    InBrowser,
    /// In the row with this digest.
    InRow(Vec<u8>),
}

/// A request that waits for a person.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Where it is kept.
    pub kept: Kept,
    /// The request.
    pub request: AuthorizationRequest,
    /// When it came.
    pub asked_at: Timestamp,
}

/// Why a flow cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// OpenSSL failed.
    #[error("no random bytes were to be had")]
    Random(#[from] ErrorStack),
    /// A stored request cannot be read back.
    #[error("a stored request cannot be read or written")]
    Request(#[from] serde_json::Error),
    /// The database refused or failed.
    #[error("the request could not be stored or read")]
    Database(#[from] DbErr),
}

/// Keeps a request in a row until whoever is logged in has answered; returns its handle. `None` if
/// its client has been removed meanwhile.
///
/// # Errors
/// See [`FlowError`].
pub async fn keep(
    db: &Db,
    pending: &Pending,
    account_id: Uuid,
    browser_digest: Vec<u8>,
) -> Result<Option<String>, FlowError> {
    let handle = Opaque::draw("")?;
    let row = Model {
        digest: handle.digest,
        browser_digest,
        client_id: pending.request.client_id.clone(),
        request: serde_json::to_value(&pending.request)?,
        created_at: pending.asked_at,
        expires_at: pending.asked_at.plus(PATIENCE),
        account_id: Some(account_id),
    };
    let is_kept = db
        .write(row, move |txn, _, row| Box::pin(async move { keep_in(txn, row, account_id).await }))
        .await?;
    Ok(is_kept.then_some(handle.text))
}

async fn keep_in(txn: &DatabaseTransaction, row: &Model, account_id: Uuid) -> Result<bool, DbErr> {
    if !client_row::Entity::lock_registered(txn, &row.client_id).await? {
        return Ok(false);
    }
    // So that of two at once neither overlooks the other's row.
    session::hold_account(txn, account_id).await?;
    make_room(txn, account_id).await?;
    Entity::insert(ActiveModel::from(row.clone()).reset_all()).exec_without_returning(txn).await?;
    Ok(true)
}

async fn make_room(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
    let digests: Vec<Vec<u8>> = Entity::find()
        .select_only()
        .column(Column::Digest)
        .filter(Column::AccountId.eq(account_id))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Digest)
        .into_tuple()
        .all(txn)
        .await?;
    for digest in digests.into_iter().skip(ROWS_PER_ACCOUNT - 1) {
        Entity::delete_by_id(digest).exec(txn).await?;
    }
    Ok(())
}

/// The request behind a handle, in the browser that it was written for.
///
/// # Errors
/// See [`FlowError`].
pub async fn find(
    db: &Db,
    handle: &str,
    browser_digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<Pending>, FlowError> {
    let question = Entity::find_by_id(digest(handle))
        .filter(Column::BrowserDigest.eq(browser_digest))
        .filter(Column::ExpiresAt.gt(now));
    let Some(row) = db.read(|db| async move { question.one(&db).await }).await? else {
        return Ok(None);
    };
    let request = serde_json::from_value(row.request)?;
    Ok(Some(Pending { kept: Kept::InRow(row.digest), request, asked_at: row.created_at }))
}
