//! Ending all sessions of an account at once, however many: a number in the account's row grows, and
//! sessions that bear an older one have ended, wherever [`session::Entity::live`] is asked.
//!
//! Their rows, the status lists and the clients follow in portions (`unfinished`).

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::database::account_lock;
use crate::domain::session::ending::{AT_ONCE, end_each};
use crate::domain::session::unfinished::{self, Unfinished};
use crate::entity::account;
use crate::entity::session::{self, EndReason};
use crate::timestamp::Timestamp;

/// The sole right to end all sessions of an account, until the commit.
#[must_use = "it holds a lock for a purpose"]
pub struct KillSwitch {
    account_id: Uuid,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Switched {
    /// What sessions bear that begin from now on.
    pub epoch: i32,
    /// Whether any has ended.
    pub has_ended_any: bool,
}

impl KillSwitch {
    /// Waits for the refreshes of the account's sessions that are under way. To be taken before any row
    /// is locked, the account's included: a refresh that is waited for may need it.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn lock(txn: &impl ConnectionTrait, account_id: Uuid) -> Result<Self, DbErr> {
        account_lock::lock_alone(txn, account_id).await?;
        Ok(Self { account_id })
    }

    /// Ends all sessions of the account, except perhaps one, as part of the transaction that says why.
    /// It costs the same, however many there are.
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
            // No token has this expiry: those that were handed out are void, too.
            .col_expr(account::Column::ResetExpiresAt, Expr::value(now))
            .filter(account::Column::Id.eq(account_id))
            .exec_with_returning(txn)
            .await?;
        let Some(account::Model { session_epoch: epoch, .. }) = advanced.into_iter().next() else {
            // Nobody's any more.
            return Ok(Switched { epoch: 0, has_ended_any: false });
        };
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
    let mut live = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Entity::live_of(account_id, now));
    if let Some(session_id) = except {
        live = live.filter(session::Column::Id.ne(session_id));
    }
    Ok(live.into_tuple::<Uuid>().one(txn).await?.is_some())
}

/// Ends sessions that an instance of the version before began: they bear no number, and that instance
/// asks for none. What is beyond a portion follows with the rest.
async fn end_without_epoch(
    txn: &impl ConnectionTrait,
    account_id: Uuid,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), DbErr> {
    // Without a bound on `absolute_expires_at`: SQLite would take the index that has it, and go over all
    // live sessions of the account. What has expired is left out by `end_each`.
    let without = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::AccountId.eq(account_id))
        .filter(session::Column::Epoch.is_null())
        .filter(session::Column::EndedAt.is_null())
        .filter(session::Column::IdleExpiresAt.gt(now))
        .limit(AT_ONCE as u64);
    let without: Vec<Uuid> = without.into_tuple().all(txn).await?;
    end_each(txn, &without, reason, now).await.map(drop)
}
