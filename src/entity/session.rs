//! Sessions: one row per login. A refresh updates the row.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{Condition, QuerySelect, QueryTrait};
use serde::{Deserialize, Serialize};

use crate::entity::account;
use crate::entity::authorization_code::RequestedClaims;
use crate::scope::{Audiences, Scope};
use crate::timestamp::Timestamp;

/// A row of `session`.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel, DeriveActiveModelBehavior)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// The `sid` of the session's tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The account of the session.
    pub account_id: Uuid,
    /// The `client_id` of the session's tokens.
    pub client_id: String,
    /// The `scope` of the session's tokens.
    pub scope: Scope,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// The number of the newest refresh token.
    pub generation: i64,
    /// When `generation` was last incremented, or when a client opened the session. For a browser
    /// session, whose generation never changes, when it was last used: the stored time may be five
    /// minutes too early, because not every use is stored.
    pub rotated_at: Option<Timestamp>,
    /// The idle expiry. Each refresh postpones it. For a browser session, each use postpones it.
    pub idle_expires_at: Timestamp,
    /// The expiry of the session lifetime. No refresh or use postpones it.
    pub absolute_expires_at: Timestamp,
    /// The client address of the last use. If the client is confidential, its server uses the
    /// session, so this is the user's client address at the login.
    pub address: Option<String>,
    /// The user agent of the last use, or of the login, like `address`.
    pub user_agent: Option<String>,
    /// When the session was ended before its expiry.
    pub ended_at: Option<Timestamp>,
    /// Why the session was ended before its expiry.
    pub end_reason: Option<EndReason>,
    /// The status list that has the entry of the session. `None` if the session is older than the
    /// status lists.
    pub status_list: Option<i32>,
    /// The index of the entry in the status list.
    pub status_index: Option<i32>,
    /// SHA-256 of the cookie, for a browser session.
    pub cookie_digest: Option<Vec<u8>>,
    /// The browser session through which a client session was opened.
    pub browser_session_id: Option<Uuid>,
    /// The audiences of the session's tokens. `None` means the service's own audience.
    pub audience: Option<Audiences>,
    /// The claims that the client requested by name. `None` if it requested none.
    #[sea_orm(column_type = "JsonBinary")]
    pub claims: Option<RequestedClaims>,
    /// The `session_epoch` of the account when the session began. `None` if an instance of the
    /// previous version created the session. Only `ended_at` then says whether the session was
    /// ended.
    pub epoch: Option<i32>,
    /// SHA-256 of the cookie that the browser had before the login, for a browser session.
    pub previous_cookie_digest: Option<Vec<u8>>,
}

/// Why a session was ended before its expiry. The reasons are stored under their names, so the
/// names must never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The user ended the session from another session, an operator ended the session, or the
    /// client revoked its token (RFC 7009).
    Revoked,
    /// The user changed the password in another session.
    PasswordChanged,
    /// The account was disabled.
    AccountDisabled,
    /// The account was deleted.
    AccountDeleted,
    /// The account's password was reset.
    PasswordReset,
    /// The user logged in again in the browser of this session, or the account reached its maximum
    /// number of sessions.
    Replaced,
    /// The authorization code that opened the session was used a second time.
    CodeReuse,
    /// A refresh token that had already been replaced was used again.
    TokenReuse,
}

impl EndReason {
    /// The name under which the reason is stored.
    #[must_use]
    pub fn text(self) -> String {
        self.into_value()
    }
}

/// The tables to which a session is related.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The account of the session.
    #[sea_orm(
        belongs_to = "crate::entity::account::Entity",
        from = "Column::AccountId",
        to = "crate::entity::account::Column::Id"
    )]
    Account,
}

impl Related<crate::entity::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl Entity {
    /// The condition for sessions that may be used at `now`.
    #[must_use]
    pub fn live(now: Timestamp) -> Condition {
        Self::live_by_row(now).add(Self::is_of_epoch())
    }

    /// The condition for live sessions of a client, for queries of all sessions of a client. Their
    /// index is on `lower(client_id)` instead of `client_id`, so that other queries do not use it.
    #[must_use]
    pub fn live_of_client(client_id: &str, now: Timestamp) -> Condition {
        let lower = |expr: Expr| Expr::expr(Func::lower(expr));
        Self::live(now)
            .add(lower(Expr::col(Column::ClientId)).eq(lower(Expr::val(client_id))))
            .add(Column::ClientId.eq(client_id))
    }

    /// The condition for sessions that have not been ended and are within the session lifetime.
    /// They may have exceeded the idle timeout.
    #[must_use]
    pub fn unended(now: Timestamp) -> Condition {
        Self::unended_by_row(now).add(Self::is_of_epoch())
    }

    /// As [`Entity::live`], but only for the sessions of one account. The account's epoch is looked
    /// up once instead of for each row.
    #[must_use]
    pub fn live_of(account_id: Uuid, now: Timestamp) -> Condition {
        Self::live_by_row(now)
            .add(Column::AccountId.eq(account_id))
            .add(has_epoch_of(account::Entity::find_by_id(account_id)))
    }

    /// As [`Entity::live`], but without the check of the epoch. The result may include sessions
    /// that the kill switch of the account has ended and whose rows are not marked yet. For code
    /// that marks the rows, or that checks the epoch in another way.
    #[must_use]
    pub fn live_by_row(now: Timestamp) -> Condition {
        Self::unended_by_row(now).add(Column::IdleExpiresAt.gt(now))
    }

    fn unended_by_row(now: Timestamp) -> Condition {
        Condition::all().add(Column::EndedAt.is_null()).add(Column::AbsoluteExpiresAt.gt(now))
    }

    /// The condition for sessions that the kill switch of their account has not ended.
    fn is_of_epoch() -> Condition {
        let own = account::Column::Id.into_expr().equals(Column::AccountId.as_column_ref());
        has_epoch_of(account::Entity::find().filter(own))
    }
}

/// The condition for sessions that have the current epoch of `account`, or have no epoch.
fn has_epoch_of(account: Select<account::Entity>) -> Condition {
    let current = account.select_only().column(account::Column::SessionEpoch).into_query();
    Condition::any()
        .add(Column::Epoch.is_null())
        .add(Column::Epoch.into_expr().eq(Expr::from(current)))
}

impl Model {
    /// When the session was last used: opened, refreshed, or used in a browser.
    #[must_use]
    pub fn last_used_at(&self) -> Timestamp {
        self.rotated_at.unwrap_or(self.auth_time)
    }

    /// Whether the session belongs to `account` and may be used at `now`. The rule is that of
    /// [`Entity::live`].
    #[must_use]
    pub fn is_live(&self, account: &account::Model, now: Timestamp) -> bool {
        let is_of_epoch = self.epoch.is_none_or(|epoch| epoch == account.session_epoch);
        self.account_id == account.id
            && is_of_epoch
            && self.ended_at.is_none()
            && now < self.idle_expires_at
            && now < self.absolute_expires_at
    }
}
