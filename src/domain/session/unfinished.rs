//! Completes the work of a [`KillSwitch`](crate::domain::session::KillSwitch): marks the rows of
//! the ended sessions, marks their status list entries, and notifies clients. If the account was
//! deleted, also deletes the rows that refer to it, and finally its own row. The work is done in
//! portions, by any instance, and continues after a crash.

use std::time::Duration;

use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::database::{Db, overwrite_all, overwrite_cheaply};
use crate::domain::id;
use crate::domain::outbox::{self, Item, Kind};
use crate::domain::session::ending::{SESSIONS_PER_STATEMENT, end_rows};
use crate::entity::outbox::{Column as Outbox, Entity as OutboxEntity};
use crate::entity::session::{self, Column, EndReason};
use crate::entity::{account, authorization_code, consent};
use crate::timestamp::Timestamp;

/// Maximum back-off before a failed portion is retried. It is short, because verifiers accept
/// access tokens of the ended sessions until the portion succeeds.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Number of consecutive failures after which a command stops retrying.
const MAX_FAILURES: u32 = 5;

/// The remaining work of one kill switch, as stored in the outbox.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Unfinished {
    pub(super) account_id: Uuid,
    /// The epoch that the kill switch started. Sessions with a lower epoch have ended.
    pub(super) below: i32,
    pub(super) reason: EndReason,
    pub(super) ended_at: Timestamp,
    /// The last session of the previous portion. Without this value, PostgreSQL would scan the dead
    /// index entries of previous portions each time.
    pub(super) after: Option<Uuid>,
}

impl Unfinished {
    /// Whether the kill switch ended this session. The row of the session may not be marked yet.
    fn has_ended(&self, session: &session::Model) -> bool {
        let was_live = self.ended_at < session.idle_expires_at.min(session.absolute_expires_at);
        // Sessions without an epoch have ended if they started before the kill switch.
        let is_older = match session.epoch {
            Some(epoch) => epoch < self.below,
            None => session.auth_time < self.ended_at,
        };
        was_live && is_older
    }
}

/// The result of processing a portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// More work is left.
    More,
    /// The work is complete.
    Done,
    /// The work is complete, and the account's row is deleted.
    Erased,
    /// Nothing was done: another transaction has locked the item, or the item is already complete.
    Busy,
}

pub(super) async fn enqueue(txn: &impl ConnectionTrait, job: &Unfinished) -> Result<(), DbErr> {
    let (receiver, at) = (job.account_id.to_string(), job.ended_at);
    let item = Item::new(id::new(at), Kind::EndSessions, receiver, job, at)?;
    outbox::enqueue(txn, vec![item]).await
}

/// Processes the next portion of the item that has been due longest. Returns false if no item is
/// due, or another transaction processes it.
///
/// # Errors
/// If the database refuses. The portion is then retried after a back-off.
pub async fn end_some(db: &Db) -> Result<bool, DbErr> {
    let now = db.clock().now();
    let due = OutboxEntity::find()
        .filter(Outbox::Kind.eq(Kind::EndSessions))
        .filter(Outbox::DueAt.lte(now))
        .order_by_asc(Outbox::DueAt);
    let Some(item) = db.read(|db| async move { due.one(&db).await }).await? else {
        return Ok(false);
    };
    match process_portion(db, item.id).await {
        Ok(progress) => Ok(progress != Progress::Busy),
        Err(error) => {
            let attempts = item.attempts.saturating_add(1);
            let wait = LONGEST_WAIT.min(Duration::from_secs(attempts.unsigned_abs().into()));
            outbox::postpone_to(db, item.id, attempts, now.plus(wait)).await?;
            Err(error)
        }
    }
}

/// Completes all remaining work of an account, for a command that waits until the work is complete.
///
/// # Errors
/// If the database refuses repeatedly. A server then completes the work.
pub async fn end_rest(db: &Db, account_id: Uuid) -> Result<(), DbErr> {
    let mut failures = 0;
    loop {
        let remaining = OutboxEntity::find()
            .filter(Outbox::Kind.eq(Kind::EndSessions))
            .filter(Outbox::Receiver.eq(account_id.to_string()))
            .order_by_asc(Outbox::DueAt);
        let Some(item) = db.read(|db| async move { remaining.one(&db).await }).await? else {
            return Ok(());
        };
        match process_portion(db, item.id).await {
            Ok(Progress::Busy) => tokio::time::sleep(Duration::from_millis(20)).await,
            Ok(_) => failures = 0,
            Err(error) if failures == MAX_FAILURES => return Err(error),
            Err(_) => {
                failures += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn process_portion(db: &Db, id: Uuid) -> Result<Progress, DbErr> {
    let progress = db
        .urgent()
        .write((), move |txn, now, ()| Box::pin(process_in_transaction(txn, id, now)))
        .await?;
    if progress == Progress::Erased {
        db.truncate_log().await;
    }
    Ok(progress)
}

/// Locks the row of the item until the commit, so that only one instance processes the item.
async fn process_in_transaction(
    txn: &DatabaseTransaction,
    id: Uuid,
    now: Timestamp,
) -> Result<Progress, DbErr> {
    let item = OutboxEntity::find_by_id(id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(txn)
        .await?;
    let Some(item) = item else { return Ok(Progress::Busy) };
    let Some(mut job) = item.read::<Unfinished>() else {
        return Err(DbErr::Custom(format!("the row {id} of the outbox cannot be read")));
    };
    let has_ended_all = end_portion(txn, &mut job, now).await?;
    let progress = match job.reason {
        _ if !has_ended_all => Progress::More,
        EndReason::AccountDeleted => erase_portion(txn, job.account_id).await?,
        _ => Progress::Done,
    };
    if progress != Progress::More {
        OutboxEntity::delete_by_id(id).exec(txn).await?;
        return Ok(progress);
    }
    // Move the item to the end of the queue, and store its progress.
    let payload = Item::new(id, item.kind, item.receiver, &job, now)?.payload;
    OutboxEntity::update_many()
        .col_expr(Outbox::DueAt, Expr::value(now))
        .col_expr(Outbox::Payload, Expr::value(payload))
        .filter(Outbox::Id.eq(id))
        .exec(txn)
        .await?;
    Ok(Progress::More)
}

/// Ends the next sessions. Returns true if no more sessions are left.
async fn end_portion(
    txn: &DatabaseTransaction,
    job: &mut Unfinished,
    now: Timestamp,
) -> Result<bool, DbErr> {
    // The rows are filtered in code and not in the query, so that a portion reads a fixed number of
    // rows.
    let rows = session::Entity::find()
        .filter(Column::AccountId.eq(job.account_id))
        .filter(Column::EndedAt.is_null())
        .apply_if(job.after, |rows, id| rows.filter(Column::Id.gt(id)))
        .order_by_asc(Column::Id)
        .limit(SESSIONS_PER_STATEMENT as u64)
        .all(txn)
        .await?;
    let ids: Vec<_> = rows.iter().filter(|row| job.has_ended(row)).map(|row| row.id).collect();
    // The statement has no condition on the account, because SQLite would then scan all rows of the
    // account each time. The statement is not run without ids, because databases would check the
    // empty list against every row.
    if !ids.is_empty() {
        let unmarked = Condition::all().add(Column::EndedAt.is_null()).add(Column::Id.is_in(ids));
        end_rows(txn, unmarked, job.reason, job.ended_at, now).await?;
    }
    job.after = rows.last().map(|row| row.id).or(job.after);
    Ok(rows.len() < SESSIONS_PER_STATEMENT)
}

/// Deletes a portion of the data of a deleted account. After the last portion, deletes the
/// account's row.
async fn erase_portion(txn: &DatabaseTransaction, account_id: Uuid) -> Result<Progress, DbErr> {
    overwrite_all(txn).await?;
    let was_last = delete_portion(txn, account_id).await?;
    if was_last {
        account::Entity::delete_by_id(account_id).exec(txn).await?;
    }
    overwrite_cheaply(txn).await?;
    Ok(if was_last { Progress::Erased } else { Progress::More })
}

/// Deletes a portion of the rows that refer to the account. Returns true if no such rows are left.
async fn delete_portion(txn: &DatabaseTransaction, account_id: Uuid) -> Result<bool, DbErr> {
    use authorization_code::Column as Code;
    use consent::Column as Consent;

    let portion = portion_of::<session::Entity>(Column::Id, Column::AccountId.eq(account_id));
    let sessions = session::Entity::delete_many().filter(portion).exec(txn).await?;
    let own = Code::AccountId.eq(account_id);
    let portion = portion_of::<authorization_code::Entity>(Code::Digest, own);
    let codes = authorization_code::Entity::delete_many().filter(portion).exec(txn).await?;
    let own = Consent::AccountId.eq(account_id);
    let portion = portion_of::<consent::Entity>(Consent::ClientId, own.clone());
    let consents = consent::Entity::delete_many().filter(own).filter(portion).exec(txn).await?;
    let full = SESSIONS_PER_STATEMENT as u64;
    Ok([&sessions, &codes, &consents].iter().all(|it| it.rows_affected < full))
}

/// A condition for one portion of the rows that match `condition`. `key` identifies a row among
/// these rows.
fn portion_of<E: EntityTrait>(key: E::Column, condition: Expr) -> Expr {
    let rows = E::find().select_only().column(key).filter(condition);
    key.in_subquery(rows.limit(SESSIONS_PER_STATEMENT as u64).into_query())
}
