//! The importer: takes records, and writes accounts in portions.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join;
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::database::{Db, Portions, analyze};
use crate::domain::import::candidate::Candidate;
use crate::domain::import::options::Options;
use crate::domain::import::plan::{Step, plan};
use crate::domain::import::refusal::{Finding, Refusal};
use crate::domain::import::summary::Summary;
use crate::domain::import::write::{Planned, write};
use crate::timestamp::Timestamp;

/// Number of candidates that are compared with the database in one query.
const COMPARED: usize = 500;

/// Largest number of accounts in a transaction.
const PORTION: u64 = 2_000;

/// Why an import stopped. Accounts that were imported before stay.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database refused or failed.
    #[error("the database refused or failed: {0}")]
    Database(#[from] DbErr),
}

/// The number of a record in its source, and the result of the check of the record.
pub type Numbered = (u64, Result<Candidate, Refusal>);

/// An import in progress.
pub struct Importer {
    db: Db,
    portions: Portions,
    options: Options,
    summary: Summary,
    ids: HashSet<Uuid>,
    /// In a dry run, the accounts that an import would create.
    would_be_created: HashSet<Uuid>,
    /// Truncated digests of the addresses so far.
    addresses: HashSet<[u8; 16]>,
    /// The records of the last call of `take`, which are compared but not written yet.
    last: Compared,
}

/// Records that were compared with the database.
#[derive(Default)]
struct Compared {
    /// The numbers of the candidates, in their order.
    numbers: Vec<u64>,
    planned: Arc<Vec<Planned>>,
    /// The records that were refused before the comparison.
    refused: Vec<(u64, Refusal)>,
}

impl Importer {
    /// Prepares an import. Writes nothing yet.
    #[must_use]
    pub fn new(db: &Db, options: Options) -> Self {
        Self {
            db: db.clone(),
            portions: Portions::of_insert(&db.without_timeout(), PORTION),
            options,
            summary: Summary::default(),
            ids: HashSet::new(),
            would_be_created: HashSet::new(),
            addresses: HashSet::new(),
            last: Compared::default(),
        }
    }

    /// Compares records with the database, and meanwhile imports the records of the previous call.
    /// Returns what an operator should know about the imported ones. [`Importer::take_rest`]
    /// imports the records of the last call.
    ///
    /// # Errors
    /// If the database fails. Some of the records may have been imported; all of them may be
    /// imported again.
    pub async fn take(
        &mut self,
        records: Vec<Numbered>,
    ) -> Result<Vec<(u64, Finding)>, ImportError> {
        let (mut numbers, mut candidates, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut repeats_address = Vec::new();
        for (number, record) in records {
            match record.and_then(|candidate| self.refuse_repeated_id(candidate)) {
                Ok(candidate) => {
                    repeats_address.push(!self.addresses.insert(digest_of_address(&candidate)));
                    numbers.push(number);
                    candidates.push(candidate);
                }
                Err(refusal) => refused.push((number, refusal)),
            }
        }
        let last = std::mem::take(&mut self.last);
        let (db, trust_verified) = (self.db.clone(), self.options.trust_verified);
        let (planned, findings) =
            join(compare(&db, candidates, trust_verified), self.import(last)).await;
        let (mut planned, findings) = (planned?, findings?);
        for ((_, step), repeats_address) in planned.iter_mut().zip(repeats_address) {
            if repeats_address {
                refuse_repeated_address(step);
            }
        }
        self.last = Compared { numbers, planned: Arc::new(planned), refused };
        Ok(findings)
    }

    /// Imports the records of the last call of [`Importer::take`].
    ///
    /// # Errors
    /// As [`Importer::take`].
    pub async fn take_rest(&mut self) -> Result<Vec<(u64, Finding)>, ImportError> {
        let last = std::mem::take(&mut self.last);
        self.import(last).await
    }

    /// Ends the import: lets PostgreSQL collect statistics of the tables that have grown.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn finish(self) -> Result<Summary, ImportError> {
        if self.summary.created > 0 && !self.options.is_dry_run {
            analyze(&self.db, &["account", "imported_account", "auth_event"]).await?;
        }
        Ok(self.summary)
    }

    /// The counts so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes out the ids of the accounts that an import would create, after a dry run.
    #[must_use]
    pub fn take_would_be_created(&mut self) -> HashSet<Uuid> {
        std::mem::take(&mut self.would_be_created)
    }

    /// Refuses a record whose id an earlier record has.
    fn refuse_repeated_id(&mut self, candidate: Candidate) -> Result<Candidate, Refusal> {
        if self.ids.insert(candidate.id) { Ok(candidate) } else { Err(Refusal::RepeatedId) }
    }

    async fn import(&mut self, compared: Compared) -> Result<Vec<(u64, Finding)>, ImportError> {
        let Compared { numbers, planned, refused } = compared;
        let mut findings = Vec::new();
        for (number, refusal) in refused {
            self.refuse(number, refusal, &mut findings);
        }
        let steps = if self.options.is_dry_run {
            planned.iter().map(|(_, step)| step.clone()).collect()
        } else {
            self.write(&planned).await?
        };
        for ((number, (candidate, _)), step) in numbers.into_iter().zip(&*planned).zip(steps) {
            self.count(number, candidate, step, &mut findings);
        }
        findings.sort_by_key(|(number, _)| *number);
        Ok(findings)
    }

    /// Writes the accounts that are to be created or changed, in portions. Returns the steps of all
    /// candidates.
    async fn write(&mut self, planned: &Arc<Vec<Planned>>) -> Result<Vec<Step>, ImportError> {
        let mut steps: Vec<Step> = Vec::with_capacity(planned.len());
        while steps.len() < planned.len() {
            let rest = planned.get(steps.len()..).unwrap_or_default();
            // A repeated import has nothing to write for most accounts, so these need no
            // transaction.
            let unwritten = rest.iter().take_while(|(_, step)| !step.is_write());
            steps.extend(unwritten.map(|(_, step)| step.clone()));
            if steps.len() < planned.len() {
                steps.extend(self.write_portion(planned, steps.len()).await?);
            }
        }
        Ok(steps)
    }

    /// Writes the next portion, from `start`. Returns its steps.
    async fn write_portion(
        &mut self,
        planned: &Arc<Vec<Planned>>,
        start: usize,
    ) -> Result<Vec<Step>, ImportError> {
        let (options, planned) = (self.options, Arc::clone(planned));
        self.portions
            .run(move |txn, now, size| {
                let portion = Portion::new(Arc::clone(&planned), start, *size);
                Box::pin(write_rows(txn, portion, options, now))
            })
            .await
    }

    fn refuse(&mut self, number: u64, refusal: Refusal, findings: &mut Vec<(u64, Finding)>) {
        self.summary.refused += 1;
        findings.push((number, Finding::Refused(refusal)));
    }

    fn count(
        &mut self,
        number: u64,
        candidate: &Candidate,
        step: Step,
        findings: &mut Vec<(u64, Finding)>,
    ) {
        let counter = match step {
            Step::Refuse(refusal) => return self.refuse(number, refusal, findings),
            Step::Create => {
                if self.options.is_dry_run {
                    self.would_be_created.insert(candidate.id);
                }
                &mut self.summary.created
            }
            Step::Change => &mut self.summary.changed,
            Step::Nothing => &mut self.summary.unchanged,
            Step::Keep { is_conflict } => {
                findings.extend(is_conflict.then_some((number, Finding::Kept)));
                &mut self.summary.kept
            }
            Step::StayDeleted => {
                findings.push((number, Finding::Deleted));
                &mut self.summary.deleted
            }
        };
        *counter += 1;
        // Includes accounts that an earlier import wrote, so that the report of a repeated import
        // is complete.
        let is_as_in_source = matches!(step, Step::Create | Step::Change | Step::Nothing);
        match &candidate.hash {
            None => self.summary.without_password += 1,
            Some(Ok(hash)) => *self.summary.classes.entry(hash.class()).or_default() += 1,
            Some(Err(reason)) => *self.summary.unusable.entry(*reason).or_default() += 1,
        }
        if is_as_in_source {
            findings.extend(candidate.findings.iter().map(|finding| (number, finding.clone())));
        }
    }
}

fn digest_of_address(candidate: &Candidate) -> [u8; 16] {
    let digest = openssl::sha::sha256(candidate.address_key().as_bytes());
    digest.first_chunk().copied().unwrap_or_default()
}

/// Refuses to create an account if an earlier record has the same address. The record of an account
/// that exists is not refused: its address belongs to it, and not to the earlier record.
fn refuse_repeated_address(step: &mut Step) {
    if matches!(step, Step::Create | Step::Refuse(Refusal::EmailTaken(_))) {
        *step = Step::Refuse(Refusal::RepeatedEmail);
    }
}

/// Decides the steps outside of the transactions that write, so that others can write meanwhile.
async fn compare(
    db: &Db,
    candidates: Vec<Candidate>,
    trust_verified: bool,
) -> Result<Vec<Planned>, DbErr> {
    let mut steps = Vec::with_capacity(candidates.len());
    for candidates in candidates.chunks(COMPARED) {
        let read = db.read(|db| async move { plan(&db, candidates, trust_verified).await });
        steps.extend(read.await?);
    }
    Ok(candidates.into_iter().zip(steps).collect())
}

/// The candidates that one transaction processes.
struct Portion {
    planned: Arc<Vec<Planned>>,
    start: usize,
    end: usize,
}

impl Portion {
    /// The candidates from `start` on, of which at most `size` are written.
    fn new(planned: Arc<Vec<Planned>>, start: usize, size: u64) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let rest = planned.iter().enumerate().skip(start);
        let written = rest.filter(|(_, (_, step))| step.is_write());
        let end = written.take(size).last().map_or(planned.len(), |(place, _)| place + 1);
        Self { planned, start, end }
    }
}

async fn write_rows(
    txn: &DatabaseTransaction,
    portion: Portion,
    options: Options,
    now: Timestamp,
) -> Result<Vec<Step>, ImportError> {
    let rows = portion.planned.get(portion.start..portion.end).unwrap_or_default();
    Ok(write(txn, rows, options, now).await?)
}
