//! `signet import`

mod batch;
mod bytes_as_text;
mod checked;
mod csv_file;
mod events;
mod json_file;
mod limit;
mod lines;
mod names;
mod report;
mod source;

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::import::checked::check;
use crate::cli::import::events::Events;
use crate::cli::import::names::Map;
use crate::cli::import::report::Report;
use crate::cli::import::source::Source;
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, is_same_database, migrate_up, status};
use crate::domain::import::{
    EventSettings, FirebaseHashConfig, Format, Importer, Options, SourceSettings, parse_since,
};
use crate::timestamp::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Import accounts with their ids and password hashes.
    ///
    /// The server may run meanwhile. The command may be interrupted and repeated: it creates the
    /// accounts that are missing, and changes those that changed in the source, but not those that
    /// were changed or deleted here. It refuses a record whose address or id another account has.
    /// All other records are imported; the exit code is then 1. See docs/moving-in.md.
    Accounts(Box<ImportAccounts>),
}

#[derive(Debug, Args)]
pub(super) struct ImportAccounts {
    /// The system that the accounts are from.
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    from: Format,
    /// The file to import: NDJSON, JSON, or CSV if its name ends in `.csv`. For `fastapi`, the URL
    /// of the application's database (`sqlite:PATH` or `postgres://…`). A URL with a password should
    /// be given as a variable, because other users of this host can see the arguments of a program.
    #[arg(env = "SIGNET_IMPORT_SOURCE", hide_env_values = true)]
    source: String,
    /// Write nothing; report what an import would do, how many password hashes of each kind there
    /// are, and how long a login with each kind takes on this machine.
    #[arg(long)]
    dry_run: bool,
    /// A TOML file with the names of the source's columns, for `fastapi`, `django`, `supabase` and
    /// `ndjson`: lines such as `email = "mail"`. For `fastapi`, `table = "people"` names the table,
    /// and the section `[auth_events]` has the names for `--auth-events`.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Mark an address as verified if the source says that it is. Without this option, no imported
    /// address is verified.
    #[arg(long)]
    trust_verified: bool,
    /// Import the audit events of the original's table `auth_events` as well, after the accounts:
    /// `signup`, `login`, `login_failed` and `logout`, of users who have an account here. Only for
    /// `fastapi`.
    #[arg(long)]
    auth_events: bool,
    /// Leave out audit events before this date or time, such as `2026-01-31`.
    #[arg(long, value_name = "TIME", value_parser = parse_since, requires = "auth_events")]
    auth_events_since: Option<Timestamp>,
    /// A file with the password hash parameters of the project, as the Firebase console shows them;
    /// required for `firebase`.
    #[arg(long, value_name = "FILE", required_if_eq("from", "firebase"))]
    firebase_hash_config: Option<PathBuf>,
    /// A file with a line for each record that is refused or not imported completely. The file gets
    /// this name when the import has ended. It replaces the report of an earlier import, but no
    /// other file. Without this option, these lines are written to standard error.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseSettings,
}

fn format_parser() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.map(Format::name);
    PossibleValuesParser::new(names).map(|name| {
        let found = Format::ALL.into_iter().find(|format| format.name() == name);
        found.unwrap_or(Format::Ndjson)
    })
}

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Accounts(command) = self;
        command.refuse_source_as_target().await?;
        let db = Db::open(&command.database, Clock::shared()).await?;
        command.prepare_schema(&db).await?;
        let refused = tokio::select! {
            refused = Box::pin(command.import(&db)) => refused,
            signal = interruption() => Err(match signal {
                Ok(()) => anyhow!(
                    "interrupted: the accounts imported so far stay; repeat the command to continue"
                ),
                Err(error) => error,
            }),
        };
        db.close().await;
        match refused? {
            0 => Ok(()),
            1 => bail!("1 record was refused"),
            count => bail!("{count} records were refused"),
        }
    }
}

/// Waits for SIGINT or SIGTERM.
async fn interruption() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

impl ImportAccounts {
    /// Refuses to create Signet's tables in the database of the other application.
    async fn refuse_source_as_target(&self) -> anyhow::Result<()> {
        let Ok(source) = self.source.parse() else { return Ok(()) };
        if self.from == Format::FastApi
            && is_same_database(&source, &self.database.database_url).await
        {
            bail!(
                "SIGNET_DATABASE_URL is the database to import from: Signet needs a database of its \
                 own. Nothing was changed"
            );
        }
        Ok(())
    }

    /// Applies pending migrations. A dry run fails if there are any, because it must write nothing.
    async fn prepare_schema(&self, db: &Db) -> anyhow::Result<()> {
        if !self.dry_run {
            return Ok(migrate_up(db).await?);
        }
        if status(db).await?.iter().any(|(is_applied, _)| !is_applied) {
            bail!(
                "the database has an older schema, and a dry run changes nothing: run \
                   `signet migrate up` first"
            );
        }
        Ok(())
    }

    /// Imports the accounts, and then the audit events if `--auth-events` is set. Returns the
    /// number of refused records.
    async fn import(&self, db: &Db) -> anyhow::Result<u64> {
        let map = self.read_map()?;
        let events = self.events(&map)?;
        let table = map.accounts.get("table").cloned();
        let settings = self.settings(db, map)?;
        if self.from == Format::FastApi {
            self.check_columns(&settings, table.as_deref()).await?;
        }
        let source = Source::open(self.from, &self.source, table.as_deref()).await?;
        if let Some(events) = &events {
            events.check(&self.source).await?;
        }
        let mut report = Report::create(self.report.as_deref(), db.clock().now())?;
        let refused = self.import_from(source, settings, events, db, &mut report).await;
        let finished = report.finish(refused.is_ok());
        let refused = refused?;
        finished?;
        Ok(refused)
    }

    /// Imports the accounts of an opened source, prints the counts, and then imports the events.
    async fn import_from(
        &self,
        source: Source,
        settings: SourceSettings,
        events: Option<Events>,
        db: &Db,
        report: &mut Report,
    ) -> anyhow::Result<u64> {
        let options = Options {
            source: self.from,
            trust_verified: self.trust_verified,
            is_dry_run: self.dry_run,
        };
        let mut importer = Importer::new(db, options);
        if let Err(error) = import_all(source, settings, &mut importer, report).await {
            report::print_summary(importer.summary(), self.dry_run).await?;
            return Err(error.context("the import stopped; it may be repeated"));
        }
        let new_accounts = self.dry_run.then(|| importer.take_would_be_created());
        let summary = importer.finish().await?;
        report::print_summary(&summary, self.dry_run).await?;
        let Some(events) = events else { return Ok(summary.refused) };
        let taken = events.import(db, &self.source, new_accounts, report, progress_bar);
        Ok(summary.refused + taken.await?.refused)
    }

    /// Refuses a table without the required columns, because each of its rows would be refused.
    async fn check_columns(
        &self,
        settings: &SourceSettings,
        table: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut source = Source::open(self.from, &self.source, table).await?;
        let Some(batch) = source.next().await? else { return Ok(()) };
        let mut rows = batch.records.iter().filter_map(|(_, row)| row.as_ref().ok());
        Ok(rows.next().map_or(Ok(()), |row| settings.check_columns(row))?)
    }

    fn read_map(&self) -> anyhow::Result<Map> {
        match &self.map {
            None => Ok(Map::default()),
            Some(_) if !self.from.is_mappable() => {
                bail!("--map has no effect on the format {}", self.from.name())
            }
            Some(path) => names::read(path),
        }
    }

    /// How the records of accounts are read.
    fn settings(&self, db: &Db, map: Map) -> anyhow::Result<SourceSettings> {
        let firebase = match &self.firebase_hash_config {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                Some(FirebaseHashConfig::parse(&text)?)
            }
        };
        let mut names = map.accounts;
        names.remove("table");
        let settings = SourceSettings { format: self.from, names, firebase, now: db.clock().now() };
        if let Some(name) = settings.unknown_names().next() {
            bail!("the file of --map has the unknown member {name}");
        }
        Ok(settings)
    }

    /// The audit events to import; `None` without `--auth-events`.
    fn events(&self, map: &Map) -> anyhow::Result<Option<Events>> {
        if !self.auth_events {
            return Ok(None);
        }
        if self.from != Format::FastApi {
            bail!("--auth-events imports from a database only: use the format fastapi");
        }
        let mut names = map.auth_events.clone();
        let table = names.remove("table").unwrap_or_else(|| events::DEFAULT_TABLE.to_owned());
        let settings = EventSettings { format: self.from, names, since: self.auth_events_since };
        if let Some(name) = settings.unknown_name() {
            bail!("the section [auth_events] of --map has the unknown member {name}");
        }
        Ok(Some(Events { settings, table }))
    }
}

/// Imports all accounts of a source.
async fn import_all(
    source: Source,
    settings: SourceSettings,
    importer: &mut Importer,
    report: &mut Report,
) -> anyhow::Result<()> {
    let id_name = settings.names.get("id").map_or("id", |name| name).to_owned();
    let bar = progress_bar(source.size());
    let mut checked = check(source, String::new(), id_name, move |record| settings.read(record));
    let import = async {
        // `take` returns findings about the previous batch, so its places are kept.
        let (mut places, mut stopped) = (HashMap::new(), Ok(()));
        while let Some(batch) = checked.recv().await {
            let batch = match batch {
                Ok(batch) => batch,
                // The records before the error are imported.
                Err(error) => {
                    stopped = Err(error);
                    break;
                }
            };
            let findings = importer.take(batch.records).await?;
            bar.suspend(|| report.write(&findings, &places))?;
            bar.set_position(batch.position);
            places = batch.places;
        }
        let findings = importer.take_rest().await?;
        bar.suspend(|| report.write(&findings, &places))?;
        stopped
    };
    let result = import.await;
    bar.finish_and_clear();
    result
}

/// A progress bar on standard error; hidden if that is not a terminal.
fn progress_bar(size: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {elapsed}, {eta} left");
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
