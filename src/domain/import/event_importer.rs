//! The importer of audit events: writes events of accounts that exist, in portions.

use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use crate::database::{Db, Portions, analyze};
use crate::domain::audit::record_past;
use crate::domain::import::event::{AccountEvent, SourceEvent};
use crate::domain::import::refusal::{Finding, Refusal};
use crate::domain::import::take::ImportError;
use crate::entity::{account, auth_event};

/// Largest number of events in a transaction.
const PORTION: u64 = 2_000;

/// Number of events in a statement. SQLite allows 32,766 parameters, and an event has 13.
const EVENTS_PER_STATEMENT: usize = 100;

/// Number of events that are compared with the database in one query.
const COMPARED: usize = 500;

/// How many events had which result. Every event is in exactly one of these counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventSummary {
    /// Events that were imported.
    pub imported: u64,
    /// Events that an earlier import has imported.
    pub present: u64,
    /// Events that are older than [`since`](crate::domain::import::EventSettings::since).
    pub older: u64,
    /// Events without a user.
    pub without_user: u64,
    /// Events of users who have no account here, or whose account was deleted.
    pub without_account: u64,
    /// Events that were refused.
    pub refused: u64,
}

/// An import of events in progress.
pub struct EventImporter {
    db: Db,
    portions: Portions,
    is_dry_run: bool,
    /// In a dry run, the accounts that an import would create.
    new_accounts: HashSet<Uuid>,
    summary: EventSummary,
}

impl EventImporter {
    /// Prepares an import. Writes nothing yet.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            portions: Portions::of_insert(&db.without_timeout(), PORTION),
            is_dry_run: false,
            new_accounts: HashSet::new(),
            summary: EventSummary::default(),
        }
    }

    /// Makes this a dry run, which writes nothing and counts as if `new_accounts` existed.
    #[must_use]
    pub fn dry_run(self, new_accounts: HashSet<Uuid>) -> Self {
        Self { is_dry_run: true, new_accounts, ..self }
    }

    /// Imports the events of records, which are identified by their numbers in the source. Returns
    /// what an operator should know about them.
    ///
    /// # Errors
    /// If the database fails. Some of the events may have been imported; all of them may be
    /// imported again.
    pub async fn take(
        &mut self,
        records: Vec<(u64, Result<SourceEvent, Refusal>)>,
    ) -> Result<Vec<(u64, Finding)>, ImportError> {
        let (mut findings, mut events) = (Vec::new(), Vec::new());
        for (number, record) in records {
            match record {
                Ok(SourceEvent::Older) => self.summary.older += 1,
                Ok(SourceEvent::WithoutUser) => self.summary.without_user += 1,
                Ok(SourceEvent::OfAccount(event)) => events.push(*event),
                Err(refusal) => {
                    self.summary.refused += 1;
                    findings.push((number, Finding::Refused(refusal)));
                }
            }
        }
        if self.is_dry_run {
            self.compare(&events).await?;
        } else {
            self.write(events).await?;
        }
        Ok(findings)
    }

    /// Ends the import: lets PostgreSQL collect statistics of the table that has grown.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn finish(self) -> Result<EventSummary, ImportError> {
        if self.summary.imported > 0 && !self.is_dry_run {
            analyze(&self.db, &["auth_event"]).await?;
        }
        Ok(self.summary)
    }

    /// The counts so far.
    #[must_use]
    pub fn summary(&self) -> &EventSummary {
        &self.summary
    }

    /// Counts the results that an import of these events would have.
    async fn compare(&mut self, events: &[AccountEvent]) -> Result<(), DbErr> {
        for events in events.chunks(COMPARED) {
            let read = self.db.read(|db| async move {
                Ok((existing_accounts(&db, events).await?, existing_events(&db, events).await?))
            });
            let (accounts, present) = read.await?;
            for AccountEvent { id, account_id, .. } in events {
                let has_account =
                    accounts.contains(account_id) || self.new_accounts.contains(account_id);
                let counter = match (has_account, present.contains(id)) {
                    (false, _) => &mut self.summary.without_account,
                    (true, true) => &mut self.summary.present,
                    (true, false) => &mut self.summary.imported,
                };
                *counter += 1;
            }
        }
        Ok(())
    }

    async fn write(&mut self, events: Vec<AccountEvent>) -> Result<(), ImportError> {
        let events = Arc::new(events);
        let mut start = 0;
        while start < events.len() {
            let portion = Arc::clone(&events);
            let written = self.portions.run(move |txn, _, size| {
                Box::pin(write_portion(txn, Arc::clone(&portion), start, *size))
            });
            let Written { taken, imported, without_account } = written.await?;
            start += taken;
            self.summary.imported += imported;
            self.summary.without_account += without_account;
            let taken = u64::try_from(taken).unwrap_or(u64::MAX);
            self.summary.present += taken.saturating_sub(imported + without_account);
        }
        Ok(())
    }
}

/// The result of a portion.
struct Written {
    /// How many events the portion had.
    taken: usize,
    imported: u64,
    without_account: u64,
}

/// Writes at most `size` events, from `start`.
async fn write_portion(
    txn: &DatabaseTransaction,
    events: Arc<Vec<AccountEvent>>,
    start: usize,
    size: u64,
) -> Result<Written, ImportError> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let end = start.saturating_add(size).min(events.len());
    Ok(write_rows(txn, events.get(start..end).unwrap_or_default()).await?)
}

async fn write_rows(txn: &impl ConnectionTrait, events: &[AccountEvent]) -> Result<Written, DbErr> {
    let accounts = existing_accounts(txn, events).await?;
    let has_account = |event: &&AccountEvent| accounts.contains(&event.account_id);
    let wanted: Vec<&AccountEvent> = events.iter().filter(has_account).collect();
    let mut imported = 0;
    for events in wanted.chunks(EVENTS_PER_STATEMENT) {
        imported +=
            record_past(txn, events.iter().map(|event| event.past_event()).collect()).await?;
    }
    let without_account = u64::try_from(events.len() - wanted.len()).unwrap_or(u64::MAX);
    Ok(Written { taken: events.len(), imported, without_account })
}

/// The ids of the existing accounts to which these events belong.
async fn existing_accounts(
    db: &impl ConnectionTrait,
    events: &[AccountEvent],
) -> Result<HashSet<Uuid>, DbErr> {
    let ids: HashSet<Uuid> = events.iter().map(|event| event.account_id).collect();
    let found = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(account::Column::Id.is_in(ids))
        .filter(account::Column::DeletedAt.is_null());
    Ok(found.into_tuple::<Uuid>().all(db).await?.into_iter().collect())
}

/// The ids of the events, among these, that an earlier import has written.
async fn existing_events(
    db: &impl ConnectionTrait,
    events: &[AccountEvent],
) -> Result<HashSet<Uuid>, DbErr> {
    let found = auth_event::Entity::find()
        .select_only()
        .column(auth_event::Column::Id)
        .filter(auth_event::Column::Id.is_in(events.iter().map(|event| event.id)));
    Ok(found.into_tuple::<Uuid>().all(db).await?.into_iter().collect())
}
