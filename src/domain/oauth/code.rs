//! Authorization codes. They are created here, and stored as digests. `code_exchange` redeems them.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::authorization_request::AuthorizationRequest;
use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::claims;
use crate::entity::authorization_code::{ActiveModel, Column, Entity, Model};
use crate::timestamp::Timestamp;

/// The prefix of codes.
pub const PREFIX: &str = "sgc_";

/// The lifetime of a code. RFC 9700 §2.1.1 and RFC 6749 §4.1.2 require a short lifetime.
const LIFETIME: Duration = Duration::from_mins(1);

/// Deletes unused codes of the same request, so that a form that is submitted twice leaves only one
/// valid code. Must run in the transaction that issues the new code, with the account locked.
///
/// A request is identified by its `nonce` and `code_challenge`. If it has neither, its codes are
/// not deleted.
///
/// # Errors
/// If the database refuses.
pub async fn delete_unused(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    request: &AuthorizationRequest,
    now: Timestamp,
) -> Result<(), DbErr> {
    let AuthorizationRequest { client_id, nonce, code_challenge, .. } = request;
    if nonce.is_none() && code_challenge.is_none() {
        return Ok(());
    }
    Entity::delete_many()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::ClientId.eq(client_id))
        .filter(is_equal(Column::Nonce, nonce.as_deref()))
        .filter(is_equal(Column::CodeChallenge, code_challenge.as_deref()))
        .filter(Column::RedeemedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .exec(txn)
        .await?;
    Ok(())
}

fn is_equal(column: Column, value: Option<&str>) -> Expr {
    value.map_or_else(|| column.is_null(), |value| column.eq(value))
}

/// Stores a code for a request that the user of `browser` has granted. Must run in the transaction
/// that grants the request.
///
/// # Errors
/// If the database refuses.
pub async fn insert(
    txn: &impl ConnectionTrait,
    digest: Vec<u8>,
    request: &AuthorizationRequest,
    browser: &Browser,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let (request, account_id) = (request.clone(), browser.account.id);
    let login = &browser.session;
    let event = Event::new(Kind::CodeIssued).session(account_id, login.id, &request.client_id);
    let row = Model {
        digest,
        client_id: request.client_id,
        account_id,
        browser_session_id: login.id,
        redirect_uri: request.to.redirect_uri,
        scope: request.scope,
        audience: request.audience,
        nonce: request.nonce,
        code_challenge: request.code_challenge,
        auth_time: login.auth_time,
        expires_at: now.plus(LIFETIME),
        redeemed_at: None,
        session_id: None,
        claims: claims::stored(request.claims),
    };
    Entity::insert(ActiveModel::from(row).reset_all()).exec_without_returning(txn).await?;
    event.record(txn, origin, now).await
}
