//! Dead letters: mails that could not be sent. They stay in the outbox for 30 days, for the
//! operator, who can send them again.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::database::{Db, delete_all};
use crate::domain::audit::{Event, Kind as EventKind, Origin};
use crate::domain::mail::{Content, QueuedMail};
use crate::domain::outbox::{Item, Kind};
use crate::entity::outbox::{Column, Entity};
use crate::timestamp::Timestamp;

/// How long dead letters are stored.
const RETENTION: Duration = Duration::from_hours(30 * 24);

/// Number of dead letters that one transaction sends again.
const LETTERS_PER_TRANSACTION: u64 = 500;

/// Makes a mail a dead letter, and records the reason, which must not contain an email address.
///
/// # Errors
/// If the database refuses; then the mail is sent again.
pub async fn make_dead_letter(db: &Db, item: &Item, reason: &str) -> Result<(), DbErr> {
    let mut item = item.clone();
    let mail = item.read::<QueuedMail>();
    let account_id = mail.as_ref().and_then(|mail| match mail.content {
        // If the new address has an account, its owner gets a notice instead of this mail, and a
        // failure of the notice is not an event of the requester. So a failure of this mail must
        // not be one, either: users can download their events, which would show whether the address
        // has an account.
        Content::ChangeEmail { .. } => None,
        _ => mail.account(),
    });
    if let Some(mail) = mail {
        let mail = QueuedMail { failure: Some(reason.to_owned()), ..mail };
        item.payload = serde_json::to_value(mail).map_err(|it| DbErr::Json(it.to_string()))?;
    }
    let event = Event::new(EventKind::MailFailed).account(account_id).reason(reason);
    db.write((item, event), |txn, now, (item, event)| {
        Box::pin(async move {
            let made = Entity::update_many()
                .col_expr(Column::Kind, Expr::value(Kind::DeadMail))
                .col_expr(Column::Payload, Expr::value(item.payload.clone()))
                .col_expr(Column::DueAt, Expr::value(now))
                .filter(Column::Id.eq(item.id))
                .filter(Column::Kind.eq(Kind::Mail))
                .exec(txn)
                .await?;
            if made.rows_affected == 0 {
                return Ok(());
            }
            event.clone().record(txn, &Origin::default(), now).await
        })
    })
    .await
}

/// The first `count` dead letters after the id `after`, in the order of their creation.
///
/// # Errors
/// If the database refuses.
pub async fn list(db: &Db, after: Option<Uuid>, count: u64) -> Result<Vec<Item>, DbErr> {
    let page = Entity::find()
        .filter(Column::Kind.eq(Kind::DeadMail))
        .apply_if(after, |page, id| page.filter(Column::Id.gt(id)))
        .order_by_asc(Column::Id)
        .limit(count);
    db.read(|db| async move { page.all(&db).await }).await
}

/// Queues dead letters again: the letter with this id, or all. Returns how many were queued.
///
/// # Errors
/// If the database refuses. Some letters may have been queued before the error.
pub async fn resend(db: &Db, id: Option<Uuid>) -> Result<u64, DbErr> {
    // A letter that fails again before the loop ends is not queued a second time.
    let started = db.clock().now();
    let mut total = 0;
    loop {
        let number = db
            .write((), move |txn, now, ()| Box::pin(resend_portion(txn, id, started, now)))
            .await?;
        total += number;
        if number < LETTERS_PER_TRANSACTION {
            return Ok(total);
        }
    }
}

/// Queues a portion of the mails that became dead letters before `started`. Sets their time of
/// creation to `now`, so that sending is retried for a day again.
async fn resend_portion(
    txn: &DatabaseTransaction,
    id: Option<Uuid>,
    started: Timestamp,
    now: Timestamp,
) -> Result<u64, DbErr> {
    let portion = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Kind.eq(Kind::DeadMail))
        .filter(Column::DueAt.lte(started))
        .apply_if(id, |dead, id| dead.filter(Column::Id.eq(id)))
        .limit(LETTERS_PER_TRANSACTION);
    let queued = Entity::update_many()
        .col_expr(Column::Kind, Expr::value(Kind::Mail))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::DueAt, Expr::value(now))
        .col_expr(Column::CreatedAt, Expr::value(now))
        .filter(Column::Id.in_subquery(portion.into_query()))
        .exec(txn)
        .await?;
    Ok(queued.rows_affected)
}

/// Deletes the dead letters that have been stored for 30 days.
///
/// # Errors
/// If the database refuses.
pub async fn purge(db: &Db) -> Result<u64, DbErr> {
    let expired = Condition::all()
        .add(Column::Kind.eq(Kind::DeadMail))
        .add(Column::DueAt.lt(db.retention_now().minus(RETENTION)));
    delete_all::<Entity>(db, expired).await
}
