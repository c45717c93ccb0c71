//! The kill switch of an account: an operation that ends all its sessions, in the same time for any
//! number of sessions. It increments the session epoch in the account's row. Sessions with a lower
//! epoch count as ended wherever [`session::Entity::live`] is checked.
//!
//! Afterwards, the rows of the sessions and the status lists are updated, and clients are notified,
//! in portions (`unfinished`).

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::database::account_lock;
use crate::domain::email_challenge;
use crate::domain::session::ending::{SESSIONS_PER_STATEMENT, end_each};
use crate::domain::session::unfinished::{self, Unfinished};
use crate::entity::account;
use crate::entity::session::{self, EndReason};
use crate::timestamp::Timestamp;

/// The exclusive right to end all sessions of an account, until the commit.
#[must_use = "it holds a lock that delays refreshes"]
pub struct KillSwitch {
    account_id: Uuid,
}

/// The result of [`KillSwitch::end_all`].
#[derive(Debug, Clone, Copy)]
pub struct Switched {
    /// The epoch of sessions that start from now on.
    pub epoch: i32,
    /// Whether any session was ended.
    pub has_ended_any: bool,
}

impl KillSwitch {
    /// Waits for running refreshes of the account's sessions, and blocks new refreshes until the
    /// commit. Must be called before any row is locked, including the account's row, because a
    /// running refresh may need this row.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn lock(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<Self, DbErr> {
        account_lock::lock_exclusive(txn, account_id).await?;
        Ok(Self { account_id })
    }

    /// Ends all sessions of the account except `except`, within the caller's transaction. Voids all
    /// reset tokens, and the links and codes that were mailed for the account: an attacker
    /// who had access must not change the address later. The cost does not depend on the number of
    /// sessions.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn end_all(
        self,
        txn: &impl ConnectionTrait,
        except: Option<Uuid>,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<Switched, DbErr> {
        let Self { account_id } = self;
        let has_ended_any = is_any_live(txn, account_id, except, now).await?;
        let advanced = account::Entity::update_many()
            .col_expr(
                account::Column::SessionEpoch,
                account::Column::SessionEpoch.into_expr().add(1),
            )
            // This invalidates earlier password reset tokens, because none of them has this expiry.
            .col_expr(account::Column::ResetExpiresAt, Expr::value(now))
            .filter(account::Column::Id.eq(account_id))
            .exec_with_returning(txn)
            .await?;
        let Some(account::Model { session_epoch: epoch, .. }) = advanced.into_iter().next() else {
            // The account was deleted.
            return Ok(Switched { epoch: 0, has_ended_any: false });
        };
        email_challenge::void_all(txn, account_id).await?;
        if let Some(session_id) = except {
            session::Entity::update_many()
                .col_expr(session::Column::Epoch, Expr::value(epoch))
                .filter(session::Column::Id.eq(session_id))
                .exec(txn)
                .await?;
        }
        end_without_epoch(txn, account_id, reason, now).await?;
        if has_ended_any || reason == EndReason::AccountDeleted {
            let job = Unfinished { account_id, below: epoch, reason, ended_at: now, after: None };
            unfinished::enqueue(txn, &job).await?;
        }
        Ok(Switched { epoch, has_ended_any })
    }
}

async fn is_any_live(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    except: Option<Uuid>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let live = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Entity::live_of(account_id, now))
        .apply_if(except, |live, id| live.filter(session::Column::Id.ne(id)));
    Ok(live.into_tuple::<Uuid>().one(txn).await?.is_some())
}

/// Ends sessions without an epoch by marking their rows. Instances of the previous version start
/// such sessions, and do not check the epoch. Sessions beyond the first portion are marked later,
/// with all other sessions.
async fn end_without_epoch(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), DbErr> {
    // There is no condition on `absolute_expires_at`, because SQLite would use the index on this
    // column and scan all live sessions of the account. `end_each` skips expired sessions.
    let without = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::AccountId.eq(account_id))
        .filter(session::Column::Epoch.is_null())
        .filter(session::Column::EndedAt.is_null())
        .filter(session::Column::IdleExpiresAt.gt(now))
        .limit(SESSIONS_PER_STATEMENT as u64);
    let without: Vec<Uuid> = without.into_tuple().all(txn).await?;
    end_each(txn, &without, reason, now).await.map(drop)
}
