//! The result of an attempt to send a mail.

use std::time::Duration;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use crate::database::Db;
use crate::domain::mail::dead_letters::make_dead_letter;
use crate::domain::outbox::{self, Item, Kind};
use crate::entity::outbox::{Column, Entity};
use crate::timestamp::Timestamp;

/// For how long after its creation a mail is sent again if an attempt fails.
const MAX_DELIVERY_TIME: Duration = Duration::from_hours(24);

/// The wait before the next attempt after a failure that concerns all mails. It is short, because
/// the sender (`server/mail_delivery`) pauses for longer while such failures continue.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// The reason of a dead letter whose link could not be computed: the instance did not have the
/// master key with which the mail was queued. The reason is stored, so it never changes.
pub const UNKNOWN_KEY: &str = "key";

/// The result of an attempt. A reason must not contain an email address.
#[derive(Debug)]
pub enum SendResult {
    /// The mail was sent, or there is nothing to send.
    Done,
    /// The mail cannot be sent, and becomes a dead letter.
    Failed(String),
    /// The mail was not sent. The next attempt follows after a back-off.
    Postponed(String),
    /// No mail can be sent at present.
    NoServer(String),
}

impl SendResult {
    /// [`SendResult::Postponed`] for this reason.
    #[must_use]
    pub fn postponed(reason: &str) -> Self {
        Self::Postponed(reason.to_owned())
    }
}

/// Stores the result of an attempt: deletes the row, schedules the next attempt, or makes the mail
/// a dead letter.
///
/// # Errors
/// If the database refuses; then the mail is sent again.
pub async fn settle(db: &Db, item: &Item, result: SendResult) -> Result<(), DbErr> {
    let now = db.clock().now();
    let is_late = now.since(item.created_at) >= MAX_DELIVERY_TIME;
    match result {
        SendResult::Done => outbox::forget(db, item.id).await,
        SendResult::Failed(reason) => make_dead_letter(db, item, &reason).await,
        SendResult::Postponed(reason) | SendResult::NoServer(reason) if is_late => {
            make_dead_letter(db, item, &format!("given up after a day: {reason}")).await
        }
        SendResult::Postponed(_) => outbox::postpone(db, item, now).await,
        SendResult::NoServer(_) => {
            outbox::postpone_to(db, item.id, item.attempts, now.plus(SHORT_WAIT)).await
        }
    }
}

/// Whether any queued mail became due earlier than `before`.
///
/// # Errors
/// If the database refuses.
pub async fn overdue(db: &Db, before: Timestamp) -> Result<bool, DbErr> {
    let late = Entity::find().filter(Column::Kind.eq(Kind::Mail)).filter(Column::DueAt.lt(before));
    Ok(db.read(|db| async move { late.one(&db).await }).await?.is_some())
}
