//! The limits of mails to one email address, exact for all instances: a maximum number in any hour
//! and in any 24 hours. They use rows of the attempt table, with longer windows.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, Set};

use crate::domain::attempt_limit::quota::AttemptKey;
use crate::domain::attempt_limit::window::{lock, recent_in};
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

/// Whether a mail may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailAdmission {
    /// It may be sent, and was counted.
    Admitted,
    /// The limit is reached.
    Refused {
        /// Whether this is the first refusal in an hour, which should be recorded.
        is_first: bool,
    },
}

/// Admits a mail to the email address of `key` and counts it, or refuses it, within the caller's
/// transaction.
///
/// # Errors
/// If the database refuses.
pub async fn admit_mail(
    txn: &impl ConnectionTrait,
    key: &AttemptKey,
    limits: MailLimits,
    now: Timestamp,
) -> Result<MailAdmission, DbErr> {
    let row = lock(txn, key, now).await?;
    let mut hits = recent_in(&row.hits, DAY, now);
    let in_last_hour = recent_in(&row.hits, HOUR, now).len();
    let is_full = in_last_hour >= to_len(limits.per_hour) || hits.len() >= to_len(limits.per_day);
    let is_first = is_full && row.refused_at.is_none_or(|at| at.plus(HOUR) <= now);
    if is_full && !is_first {
        return Ok(MailAdmission::Refused { is_first });
    }
    if !is_full {
        hits.push(now);
    }
    let row = attempt::ActiveModel {
        key: Set(row.key),
        hits: Set(Hits(hits)),
        under_way: Set(None),
        refused_at: Set(if is_first { Some(now) } else { row.refused_at }),
        expires_at: Set(now.plus(DAY)),
    };
    row.update(txn).await?;
    Ok(if is_full { MailAdmission::Refused { is_first } } else { MailAdmission::Admitted })
}

fn to_len(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
