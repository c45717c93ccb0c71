//! Authorization requests that wait for the user. If a login is missing, the browser carries the
//! request ([`sealed`](crate::domain::oauth::sealed)). If a consent is missing, the request is
//! stored in a row, which only the browser of the logged-in user can use.
//!
//! The row is deleted when the consent is withdrawn. It stays after the user has answered, so that
//! the page can be reloaded and its form submitted twice. Each submission gets a code, which
//! replaces the code of the previous submission if the request has a `nonce` or a `code_challenge`.
//! Rows exist only for logged-in users, and their number per account is limited.

use std::time::Duration;

use openssl::error::ErrorStack;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::oauth::authorization_request::AuthorizationRequest;
use crate::domain::secret::{Secret, digest};
use crate::domain::session;
use crate::entity::client as client_row;
use crate::entity::pending_authorization::{ActiveModel, Column, Entity, Model};
use crate::timestamp::Timestamp;

/// How long a request waits for the user.
pub const PENDING_LIFETIME: Duration = Duration::from_mins(30);

/// Maximum number of rows per account, and so of consent pages that are open at the same time. A
/// new row replaces the oldest row.
const ROWS_PER_ACCOUNT: usize = 16;

/// Where a pending request is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredIn {
    /// The request has just arrived and is not stored.
    Nothing,
    /// The browser carries the sealed request in a form.
    SealedForm,
    /// The request is in the row with this digest.
    Row(Vec<u8>),
}

/// An authorization request that has just arrived, or that waits for the user.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Where the request is stored.
    pub stored_in: StoredIn,
    /// The request.
    pub request: AuthorizationRequest,
    /// When the request arrived.
    pub asked_at: Timestamp,
}

/// Why a flow cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// OpenSSL could not generate random bytes or encrypt the request.
    #[error("random bytes or encryption failed")]
    OpenSsl(#[from] ErrorStack),
    /// A stored request cannot be parsed or serialized.
    #[error("a stored request cannot be read or written")]
    Request(#[from] serde_json::Error),
    /// The database refused or failed.
    #[error("the request could not be stored or read")]
    Database(#[from] DbErr),
}

/// Stores a request that waits for the user. Returns its handle, or `None` if its client was
/// deleted meanwhile.
///
/// # Errors
/// See [`FlowError`].
pub async fn store(
    db: &Db,
    pending: &Pending,
    account_id: Uuid,
    browser_digest: Vec<u8>,
) -> Result<Option<String>, FlowError> {
    let handle = Secret::generate("")?;
    let row = Model {
        digest: handle.digest,
        browser_digest,
        client_id: pending.request.client_id.clone(),
        request: serde_json::to_value(&pending.request)?,
        created_at: pending.asked_at,
        expires_at: pending.asked_at.plus(PENDING_LIFETIME),
        account_id: Some(account_id),
    };
    let is_stored = db.write(row, move |txn, _, row| Box::pin(insert(txn, row, account_id)));
    Ok(is_stored.await?.then_some(handle.text))
}

async fn insert(txn: &DatabaseTransaction, row: &Model, account_id: Uuid) -> Result<bool, DbErr> {
    if !client_row::Entity::lock_registered(txn, &row.client_id).await? {
        return Ok(false);
    }
    // The account is locked, so that concurrent calls see each other's rows.
    session::lock_account(txn, account_id).await?;
    delete_oldest(txn, account_id).await?;
    Entity::insert(ActiveModel::from(row.clone()).reset_all()).exec_without_returning(txn).await?;
    Ok(true)
}

/// Deletes the oldest rows of an account, so that one more row does not exceed the maximum.
async fn delete_oldest(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<(), DbErr> {
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

/// The request with this handle, in the browser for which it was stored.
///
/// # Errors
/// See [`FlowError`].
pub async fn find(
    db: &Db,
    handle: &str,
    browser_digest: Vec<u8>,
    now: Timestamp,
) -> Result<Option<Pending>, FlowError> {
    let query = Entity::find_by_id(digest(handle))
        .filter(Column::BrowserDigest.eq(browser_digest))
        .filter(Column::ExpiresAt.gt(now));
    let Some(row) = db.read(|db| async move { query.one(&db).await }).await? else {
        return Ok(None);
    };
    let request = serde_json::from_value(row.request)?;
    Ok(Some(Pending { stored_in: StoredIn::Row(row.digest), request, asked_at: row.created_at }))
}
