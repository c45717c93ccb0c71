//! The verdict of a counted attempt: a success is refunded, a failure stays counted.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QuerySelect, Set, Unchanged};

use crate::database::Db;
use crate::domain::attempt_limit::quota::AttemptKey;
use crate::domain::attempt_limit::window::{remove_one, under_way};
use crate::domain::audit::{Event, Origin};
use crate::entity::attempt::{self, Hits};
use crate::timestamp::Timestamp;

/// An attempt that was admitted and counted. Functions that check or set a password have a
/// parameter of this type, so they cannot be called without an admitted attempt.
#[derive(Debug)]
#[must_use]
pub struct Admitted(Counted);

impl Admitted {
    pub(super) fn new(counted: Counted) -> Self {
        Self(counted)
    }

    /// Sets the account of an attempt that has no account quota.
    pub fn at_account(mut self, account: AttemptKey) -> Self {
        self.0.account = Some(account);
        self
    }

    /// Where the attempt is counted, to [refund](Counted::refund) it or to record that it
    /// [failed](Counted::fail).
    pub(crate) fn counted(&self) -> Counted {
        self.0.clone()
    }
}

/// Where and when an attempt was counted, for its verdict.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The windows to which the attempt may be refunded, in locking order.
    pub(super) windows: Vec<AttemptKey>,
    /// The account that was tried, whether or not it exists.
    pub(super) account: Option<AttemptKey>,
    /// When the attempt was counted. This time identifies it in the windows.
    pub(super) at: Timestamp,
}

impl Counted {
    /// Adds the window of the account to the windows to which the attempt may be refunded.
    #[must_use]
    pub fn with_account(mut self) -> Self {
        self.windows.extend(self.account.clone());
        // Restore the locking order.
        self.windows.sort();
        self
    }

    /// The keyed digest of the email address that was tried.
    #[must_use]
    pub fn email_digest(&self) -> Option<Vec<u8>> {
        self.account.as_ref().map(AttemptKey::digest)
    }

    /// Refunds the attempt to its windows. Must run in the transaction that records its success.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn refund(&self, txn: &impl ConnectionTrait, now: Timestamp) -> Result<(), DbErr> {
        self.settle(txn, true, now).await
    }

    /// Records the failure of the attempt, with the digest of the email address that was tried. The
    /// attempt stays counted.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn fail(self, db: &Db, event: Event, origin: &Origin) -> Result<(), DbErr> {
        let event = event.email_digest(self.email_digest());
        db.write((self, event, origin.clone()), |txn, now, (counted, event, origin)| {
            Box::pin(async move {
                event.clone().record(txn, origin, now).await?;
                counted.settle(txn, false, now).await
            })
        })
        .await
    }

    /// Refunds an attempt that gets no verdict. If the database refuses, the attempt stays counted.
    pub async fn refund_without_verdict(self, db: &Db) {
        let refunded = db.write(self, |txn, now, counted| Box::pin(counted.refund(txn, now)));
        if let Err(error) = refunded.await {
            tracing::debug!(%error, "an attempt without a verdict stays counted");
        }
    }

    async fn settle(
        &self,
        txn: &impl ConnectionTrait,
        is_refunded: bool,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        for AttemptKey(key) in &self.windows {
            let window = attempt::Entity::find_by_id(key.clone()).lock_exclusive();
            let Some(mut row) = window.one(txn).await? else { continue };
            let mut under_way = under_way(&row, now);
            remove_one(&mut under_way, self.at);
            if is_refunded {
                remove_one(&mut row.hits.0, self.at);
            }
            let changed = attempt::ActiveModel {
                key: Unchanged(row.key),
                hits: Set(row.hits),
                under_way: Set((!under_way.is_empty()).then_some(Hits(under_way))),
                ..Default::default()
            };
            attempt::Entity::update(changed).exec(txn).await?;
        }
        Ok(())
    }
}
