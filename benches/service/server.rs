//! The servers under test: their settings, and their start.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::load;
use crate::postgres::PostgresCpu;
use crate::process::{Process, free_port};
use crate::report::Series;
use crate::run::Run;

/// The file with the key set that poem serves.
pub(crate) const JWKS_FILE: &str = "jwks.json";

/// Starts of a server on a database with rows.
#[derive(Default)]
pub(crate) struct Starts {
    /// From the start of the process to the first response, in milliseconds.
    pub(crate) times: Series,
    /// Resident memory a second later, in MiB.
    pub(crate) idle: Series,
}

/// Starts the reference for the JWKS, which serves [`JWKS_FILE`] in `directory`.
pub(crate) fn start_poem(directory: &Path) -> anyhow::Result<Process> {
    let port = free_port()?;
    let body = directory.join(JWKS_FILE);
    let arguments =
        ["serve-static".to_owned(), format!("--port={port}"), format!("--body={}", body.display())];
    let log = directory.join("poem.log");
    Process::start(&std::env::current_exe()?, &arguments, port, load::JWKS, &log)
}

/// A new directory for the files of a server.
pub(crate) fn temporary_directory(run: &Run) -> anyhow::Result<TempDir> {
    let mut named = tempfile::Builder::new();
    Ok(named.prefix("signet-bench.").tempdir_in(&run.directory)?)
}

/// Start times on a new database, in milliseconds. They include the creation of schema and key.
/// Empty on PostgreSQL, where a run has only one database.
pub(crate) fn start_on_new_database(run: &Run, directory: &Path) -> anyhow::Result<Series> {
    let mut times = Series::default();
    let count = if run.database_url.is_some() { 0 } else { run.starts() };
    for number in 0..count {
        let directory = directory.join(format!("new-{number}"));
        fs::create_dir(&directory)?;
        times.push(start(run, &directory)?.start.as_secs_f64() * 1_000.0);
    }
    Ok(times)
}

/// Starts the server of `run` with its files in `directory`.
pub(crate) fn start(run: &Run, directory: &Path) -> anyhow::Result<Process> {
    let port = free_port()?;
    let mut arguments = vec!["serve".to_owned(), format!("--listen=127.0.0.1:{port}")];
    arguments.extend(settings(run, directory));
    let log = directory.join("signet.log");
    let mut process = Process::start(&run.signet, &arguments, port, load::JWKS, &log)?;
    process.postgres = run.database_url.as_deref().and_then(PostgresCpu::of);
    Ok(process)
}

/// Default settings except for paths, this program as a trusted proxy, and a higher attempt limit
/// per account.
pub(crate) fn settings(run: &Run, directory: &Path) -> Vec<String> {
    vec![
        format!("--database-url={}", database_url(run, directory)),
        format!("--master-key-file={}", directory.join("master.key").display()),
        "--trusted-proxies=127.0.0.1/32".to_owned(),
        "--account-attempts-per-minute=1000000".to_owned(),
    ]
}

impl Run {
    /// How often the start is measured.
    pub(crate) fn starts(&self) -> usize {
        if self.quick { 5 } else { 10 }
    }
}

/// The URL of the database of a server with its files in `directory`.
pub(crate) fn database_url(run: &Run, directory: &Path) -> String {
    let sqlite = || format!("sqlite:{}", directory.join("signet.db").display());
    run.database_url.clone().unwrap_or_else(sqlite)
}
