//! The limits of mails to one email address, exact for all instances: a maximum number in any hour
//! and in any 24 hours. They use rows of the attempt table, with longer windows.
//!
//! Mails that someone asked for have a second limit: requests from one client address cause at most
//! half of the mails to one email address. So a single stranger cannot use up the mails of the
//! owner.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, Set};

use crate::domain::attempt_limit::quota::AttemptKey;
use crate::domain::attempt_limit::window::{lock_all, recent_in};
use crate::entity::attempt::{self, Hits};
use crate::timestamp::Timestamp;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The maximum number of mails to one email address.
#[derive(Debug, Clone, Copy)]
pub struct MailLimits {
    /// In any hour.
    pub per_hour: u32,
    /// In any 24 hours.
    pub per_day: u32,
}

impl MailLimits {
    /// The limits of the mails to this address that requests from one client address may cause.
    #[must_use]
    pub const fn of_one_client(self) -> Self {
        Self { per_hour: self.per_hour.div_ceil(2), per_day: self.per_day.div_ceil(2) }
    }
}

/// Whether a mail may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailAdmission {
    /// It may be sent, and was counted.
    Admitted,
    /// A limit is reached.
    Refused {
        /// Whether this is the first refusal in an hour. Only the first should be recorded.
        is_first: bool,
    },
}

/// Admits and counts a mail, within the caller's transaction, if no window is full. Otherwise
/// counts nothing. All transactions must give the windows in the same order, that of the recipient
/// last.
///
/// # Errors
/// If the database refuses.
pub async fn admit_mail(
    txn: &impl ConnectionTrait,
    windows: &[(AttemptKey, MailLimits)],
    now: Timestamp,
) -> Result<MailAdmission, DbErr> {
    let keys: Vec<_> = windows.iter().map(|(key, _)| key).collect();
    let rows = lock_all(txn, &keys, now).await?;
    let full = rows.iter().zip(windows).find(|(row, (_, limits))| is_full(row, *limits, now));
    if let Some((row, _)) = full {
        let is_first = row.refused_at.is_none_or(|at| at.plus(HOUR) <= now);
        if is_first {
            let hits = recent_in(&row.hits, DAY, now);
            store(txn, row, hits, Some(now), now).await?;
        }
        return Ok(MailAdmission::Refused { is_first });
    }
    for row in &rows {
        let mut hits = recent_in(&row.hits, DAY, now);
        hits.push(now);
        store(txn, row, hits, row.refused_at, now).await?;
    }
    Ok(MailAdmission::Admitted)
}

fn is_full(row: &attempt::Model, limits: MailLimits, now: Timestamp) -> bool {
    let count = |window| recent_in(&row.hits, window, now).len();
    count(HOUR) >= to_len(limits.per_hour) || count(DAY) >= to_len(limits.per_day)
}

async fn store(
    txn: &impl ConnectionTrait,
    row: &attempt::Model,
    hits: Vec<Timestamp>,
    refused_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = attempt::ActiveModel {
        key: Set(row.key.clone()),
        hits: Set(Hits(hits)),
        under_way: Set(None),
        refused_at: Set(refused_at),
        expires_at: Set(now.plus(DAY)),
    };
    row.update(txn).await.map(drop)
}

fn to_len(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
