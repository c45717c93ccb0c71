//! Sessions: one row per login, however often it is refreshed.

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
    /// The `sid` of its tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The account of the session.
    pub account_id: Uuid,
    /// The `client_id` of its tokens.
    pub client_id: String,
    /// The `scope` of its tokens.
    pub scope: Scope,
    /// When the password was checked.
    pub auth_time: Timestamp,
    /// The number of the newest refresh token.
    pub generation: i64,
    /// When `generation` last grew.
    pub rotated_at: Option<Timestamp>,
    /// Expiry if it is not refreshed; for a browser session, if it is not used.
    pub idle_expires_at: Timestamp,
    /// Expiry however often it is refreshed or used.
    pub absolute_expires_at: Timestamp,
    /// The address of the last login or refresh.
    pub address: Option<String>,
    /// The user agent of the last use.
    pub user_agent: Option<String>,
    /// When it was ended before its expiry.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// The status list with its entry; `None` if it began before there were lists.
    pub status_list: Option<i32>,
    /// The index of its entry.
    pub status_index: Option<i32>,
    /// SHA-256 of the cookie, for a browser session on the hosted pages.
    pub cookie_digest: Option<Vec<u8>>,
    /// The browser session on the hosted pages in which a client's session was opened.
    pub browser_session_id: Option<Uuid>,
    /// The audiences of its tokens; the service's own audience if `None`.
    pub audience: Option<Audiences>,
    /// The claims that its client requested by name; `None` if there are none.
    #[sea_orm(column_type = "JsonBinary")]
    pub claims: Option<RequestedClaims>,
    /// The `session_epoch` of its account when it began. `None` if an instance of the previous
    /// version created it: then only the row says whether it has ended.
    pub epoch: Option<i32>,
    /// SHA-256 of the browser's cookie before this login on the hosted pages.
    pub previous_cookie_digest: Option<Vec<u8>>,
}

/// Why a session was ended before its expiry. Stored under its name, which must therefore never
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The user ended it from another session, an operator ended it, or its client revoked it (RFC
    /// 7009).
    Revoked,
    /// The user changed the password in another session.
    PasswordChanged,
    /// The account was disabled.
    AccountDisabled,
    /// The account was deleted, and its sessions with it.
    AccountDeleted,
    /// The account's password was reset.
    PasswordReset,
    /// The user logged in again in the same browser, or it was evicted to make room for another.
    Replaced,
    /// The authorization code that opened it was used a second time.
    CodeReuse,
    /// A refresh token was reused: the one presented had been replaced.
    TokenReuse,
}

/// The tables a session is related to.
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

    /// The condition for live sessions of a client. Use it where all sessions of a client are
    /// affected: it uses the index for that, on `lower(client_id)`, so that no other query uses
    /// this index.
    #[must_use]
    pub fn live_of_client(client_id: &str, now: Timestamp) -> Condition {
        let lower = |expr: Expr| Expr::expr(Func::lower(expr));
        Self::live(now)
            .add(lower(Expr::col(Column::ClientId)).eq(lower(Expr::val(client_id))))
            .add(Column::ClientId.eq(client_id))
    }

    /// The condition for sessions that have not been ended, though they may have exceeded the idle
    /// timeout.
    #[must_use]
    pub fn unended(now: Timestamp) -> Condition {
        Self::unended_by_row(now).add(Self::is_of_epoch())
    }

    /// The same as [`Entity::live`] for the sessions of one account: its epoch is looked up once
    /// instead of for each row.
    #[must_use]
    pub fn live_of(account_id: Uuid, now: Timestamp) -> Condition {
        Self::live_by_row(now)
            .add(Column::AccountId.eq(account_id))
            .add(has_epoch_of(account::Entity::find_by_id(account_id)))
    }

    /// [`Entity::live`] without the epoch, which may have ended the session before its row says so.
    /// For code that writes the rows, or checks the epoch in another way.
    #[must_use]
    pub fn live_by_row(now: Timestamp) -> Condition {
        Self::unended_by_row(now).add(Column::IdleExpiresAt.gt(now))
    }

    fn unended_by_row(now: Timestamp) -> Condition {
        Condition::all().add(Column::EndedAt.is_null()).add(Column::AbsoluteExpiresAt.gt(now))
    }

    /// Its account's kill switch has not ended it since it began.
    fn is_of_epoch() -> Condition {
        let own = account::Column::Id.into_expr().equals(Column::AccountId.as_column_ref());
        has_epoch_of(account::Entity::find().filter(own))
    }
}

/// The condition for sessions with the current epoch of `account`, or without any.
fn has_epoch_of(account: Select<account::Entity>) -> Condition {
    let current = account.select_only().column(account::Column::SessionEpoch).into_query();
    Condition::any()
        .add(Column::Epoch.is_null())
        .add(Column::Epoch.into_expr().eq(Expr::from(current)))
}

impl Model {
    /// Whether it belongs to `account` and may be used at `now`; the same rule as [`Entity::live`].
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
