//! `signet import`

mod batch;
mod csv_file;
mod json_file;
mod limit;
mod lines;
mod names;
mod report;
mod source;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::import::report::Report;
use crate::cli::import::source::Source;
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, migrate_up, status};
use crate::domain::import::{
    FirebaseHashConfig, Format, Importer, Options, SourceSettings, Summary,
};

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Import accounts with their ids and password hashes.
    ///
    /// The server may run meanwhile. The command may be interrupted and repeated: it creates the
    /// accounts that are missing, and changes those that changed in the source, but leaves alone
    /// those that were changed or deleted here. It refuses an address or an id that another account
    /// has. See docs/moving-in.md.
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
    /// `ndjson`: lines such as `email = "mail"`. For `fastapi`, `table = "people"` names the table.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Believe the source which addresses are verified. Otherwise no imported address is.
    #[arg(long)]
    trust_verified: bool,
    /// A file with the password hash parameters of the project, as the Firebase console shows them;
    /// required for `firebase`.
    #[arg(long, value_name = "FILE", required_if_eq("from", "firebase"))]
    firebase_hash_config: Option<PathBuf>,
    /// A file to create with a line for each record that is refused or not imported completely.
    /// Without it, these lines are written to standard error.
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
        let db = Db::open(&command.database, Clock::shared()).await?;
        command.prepare_schema(&db).await?;
        let summary = Box::pin(command.import(&db)).await?;
        db.close().await;
        match summary.refused {
            0 => Ok(()),
            1 => bail!("1 record was refused"),
            count => bail!("{count} records were refused"),
        }
    }
}

impl ImportAccounts {
    /// Applies pending migrations. A dry run must write nothing.
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

    async fn import(&self, db: &Db) -> anyhow::Result<Summary> {
        let (settings, table) = self.settings(db)?;
        let mut source = Source::open(self.from, &self.source, table.as_deref()).await?;
        let mut report = Report::create(self.report.as_deref())?;
        let options = Options {
            source: self.from,
            trust_verified: self.trust_verified,
            is_dry_run: self.dry_run,
        };
        let mut importer = Importer::new(db, options);
        let bar = progress_bar(source.size());
        let read = async {
            while let Some(batch) = source.next().await? {
                let places = batch.places(&settings);
                let findings = importer.take(batch.candidates(&settings)).await?;
                bar.suspend(|| report.write(&findings, &places))?;
                bar.set_position(batch.position);
            }
            anyhow::Ok(())
        };
        let result = read.await;
        bar.finish_and_clear();
        if let Err(error) = result {
            report::print_summary(importer.summary(), self.dry_run).await?;
            return Err(error.context("the import stopped; it may be repeated"));
        }
        let summary = importer.finish().await?;
        report::print_summary(&summary, self.dry_run).await?;
        Ok(summary)
    }

    /// The settings, and the name of the table to read.
    fn settings(&self, db: &Db) -> anyhow::Result<(SourceSettings, Option<String>)> {
        let (names, table) = match &self.map {
            None => Default::default(),
            Some(_) if !self.from.has_names() => {
                bail!("--map has no effect on the format {}", self.from.name())
            }
            Some(path) => names::read(path)?,
        };
        let firebase = match &self.firebase_hash_config {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                Some(FirebaseHashConfig::parse(&text)?)
            }
        };
        let settings = SourceSettings { format: self.from, names, firebase, now: db.clock().now() };
        if let Some(name) = settings.unknown_names().next() {
            bail!("the file of --map has the unknown member {name}");
        }
        Ok((settings, table))
    }
}

/// A progress bar on standard error; hidden if that is not a terminal.
fn progress_bar(size: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {elapsed}, {eta} left");
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
