//! `signet import accounts --auth-events`: the audit events of the original application.

use std::collections::HashSet;

use indicatif::ProgressBar;
use uuid::Uuid;

use crate::cli::import::batch::Batch;
use crate::cli::import::checked::check;
use crate::cli::import::report::{self, Report};
use crate::cli::import::source::Source;
use crate::database::Db;
use crate::domain::import::{EventImporter, EventSettings, EventSummary};

/// The table of audit events in the original application.
pub(super) const DEFAULT_TABLE: &str = "auth_events";

/// The events to import.
pub(super) struct Events {
    /// How the records of the table are read.
    pub(super) settings: EventSettings,
    /// The table that they are in.
    pub(super) table: String,
}

impl Events {
    /// Checks that the table can be read and has the required columns, before anything is imported.
    pub(super) async fn check(&self, source: &str) -> anyhow::Result<()> {
        let mut source = self.open(source).await?;
        match source.next().await? {
            Some(batch) => self.check_columns(&batch),
            None => Ok(()),
        }
    }

    /// Imports the events. In a dry run, only counts them, as if `new_accounts` existed.
    pub(super) async fn import(
        &self,
        db: &Db,
        source: &str,
        new_accounts: Option<HashSet<Uuid>>,
        report: &mut Report,
        bar: impl FnOnce(u64) -> ProgressBar,
    ) -> anyhow::Result<EventSummary> {
        let is_dry_run = new_accounts.is_some();
        let source = self.open(source).await?;
        let mut importer = EventImporter::new(db);
        if let Some(accounts) = new_accounts {
            importer = importer.dry_run(accounts);
        }
        let bar = bar(source.size());
        let (prefix, id_name) = (format!("{} ", self.table), self.settings.id_column().to_owned());
        let settings = self.settings.clone();
        let mut checked = check(source, prefix, id_name, move |record| settings.read(record));
        let import = async {
            while let Some(batch) = checked.recv().await.transpose()? {
                let findings = importer.take(batch.records).await?;
                bar.suspend(|| report.write(&findings, &batch.places))?;
                bar.set_position(batch.position);
            }
            anyhow::Ok(())
        };
        let result = import.await;
        bar.finish_and_clear();
        if let Err(error) = result {
            report::print_event_summary(importer.summary(), self.settings.since, is_dry_run)?;
            return Err(error.context("the import of events stopped; it may be repeated"));
        }
        let summary = importer.finish().await?;
        report::print_event_summary(&summary, self.settings.since, is_dry_run)?;
        Ok(summary)
    }

    async fn open(&self, source: &str) -> anyhow::Result<Source> {
        Source::open(self.settings.format, source, Some(&self.table)).await
    }

    fn check_columns(&self, batch: &Batch) -> anyhow::Result<()> {
        let first = batch.records.first().and_then(|(_, record)| record.as_ref().ok());
        Ok(first.map_or(Ok(()), |record| self.settings.check(record))?)
    }
}
