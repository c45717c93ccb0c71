//! The limit of wrong codes: five in any 30 minutes, for each account and purpose. It uses rows of
//! the attempt table, with a longer window.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, Set};

use crate::domain::attempt_limit::quota::AttemptKey;
use crate::domain::attempt_limit::window::{lock, recent_in};
use crate::entity::attempt::{self, Hits};
use crate::timestamp::Timestamp;

/// Maximum number of wrong codes in a window.
const MAX_WRONG_CODES: usize = 5;

/// The length of the window.
const WINDOW: Duration = Duration::from_mins(30);

/// The attempts at the codes of one account and purpose.
pub struct CodeAttempts {
    key: AttemptKey,
}

impl CodeAttempts {
    /// The attempts whose row has this key.
    #[must_use]
    pub const fn of(key: AttemptKey) -> Self {
        Self { key }
    }

    /// Decides within the caller's transaction whether a code may be used. `is_right` says whether
    /// it is the code of the challenge. Counts a wrong code. Concurrent attempts wait for each
    /// other.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn admit(
        &self,
        txn: &impl ConnectionTrait,
        is_right: bool,
        now: Timestamp,
    ) -> Result<bool, DbErr> {
        let row = lock(txn, &self.key, now).await?;
        let mut wrong = recent_in(&row.hits, WINDOW, now);
        if wrong.len() >= MAX_WRONG_CODES {
            return Ok(false);
        }
        if !is_right {
            wrong.push(now);
            let row = attempt::ActiveModel {
                key: Set(row.key),
                hits: Set(Hits(wrong)),
                under_way: Set(None),
                refused_at: Set(None),
                expires_at: Set(now.plus(WINDOW)),
            };
            row.update(txn).await?;
        }
        Ok(is_right)
    }
}
