//! Authorization codes: created here and stored as digests. `code_exchange` redeems them.

use std::time::Duration;

use openssl::error::ErrorStack;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::authorization_request::AuthorizationRequest;
use crate::domain::oauth::claims;
use crate::domain::oauth::secret::Secret;
use crate::domain::scope::Scope;
use crate::entity::authorization_code::{ActiveModel, Column, Entity, Model, RequestedClaims};
use crate::timestamp::Timestamp;

/// The prefix of codes.
const PREFIX: &str = "sgc_";

/// The lifetime of a code (RFC 9700 §2.1.1 and RFC 6749 §4.1.2 require a short one).
const LIFE: Duration = Duration::from_mins(1);

/// The grant of a code.
pub struct CodeTerms {
    /// The client that may redeem it.
    pub client_id: String,
    /// The account that granted it.
    pub account_id: Uuid,
    /// The browser's login in which it was granted.
    pub browser_session_id: Uuid,
    /// Where it is sent.
    pub redirect_uri: String,
    /// The granted scope.
    pub scope: Scope,
    /// The audiences of the tokens, space-separated.
    pub audience: String,
    /// The granted single claims.
    pub claims: RequestedClaims,
    /// The nonce for the ID token.
    pub nonce: Option<String>,
    /// The PKCE code challenge.
    pub code_challenge: Option<String>,
    /// When the password was checked.
    pub auth_time: Timestamp,
}

/// Creates a code.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn generate() -> Result<Secret, ErrorStack> {
    Secret::generate(PREFIX)
}

/// Voids unused codes of the same request, in the transaction that issues a new one, with the
/// account locked: a form submitted twice leaves one valid code. Requests are identified by `nonce`
/// and `code_challenge`; those without either cannot be.
///
/// # Errors
/// If the database refuses.
pub async fn void_unused(
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
        .filter(same(Column::Nonce, nonce.as_deref()))
        .filter(same(Column::CodeChallenge, code_challenge.as_deref()))
        .filter(Column::RedeemedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .exec(txn)
        .await?;
    Ok(())
}

fn same(column: Column, value: Option<&str>) -> Expr {
    value.map_or_else(|| column.is_null(), |value| column.eq(value))
}

/// Stores a code, in the transaction that grants it.
///
/// # Errors
/// If the database refuses.
pub async fn insert(
    txn: &impl ConnectionTrait,
    digest: Vec<u8>,
    terms: CodeTerms,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), DbErr> {
    let event = Event::new(Kind::CodeIssued).session(
        terms.account_id,
        terms.browser_session_id,
        &terms.client_id,
    );
    let row = Model {
        digest,
        client_id: terms.client_id,
        account_id: terms.account_id,
        browser_session_id: terms.browser_session_id,
        redirect_uri: terms.redirect_uri,
        scope: terms.scope.to_string(),
        audience: terms.audience,
        nonce: terms.nonce,
        code_challenge: terms.code_challenge,
        auth_time: terms.auth_time,
        expires_at: now.plus(LIFE),
        redeemed_at: None,
        session_id: None,
        claims: claims::stored(terms.claims),
    };
    Entity::insert(ActiveModel::from(row).reset_all()).exec_without_returning(txn).await?;
    event.record(txn, origin, now).await
}
