//! The process environment: `.env` is read into it, and a `SIGNET_*` name nobody knows is an error.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Command;

use crate::config::reference::settings;

/// Settings that there were, and what to do instead.
const REMOVED: [(&str, &str); 2] =
    [("SIGNET_HASH_QUEUE", BACKLOG), ("SIGNET_HASH_WAIT_SECONDS", BACKLOG)];

const BACKLOG: &str =
    "remove it; SIGNET_HASH_BACKLOG_SECONDS (20) says how much hashing is admitted";

/// A variable that looks like a setting and is none, perhaps a misspelt one.
#[derive(Debug, thiserror::Error)]
#[error("{} (see `signet serve --help` or docs/configuration.md)", faults.join("; "))]
pub struct UnknownSettings {
    faults: Vec<String>,
}

/// Reads `.env` in the working directory, if there is one; real variables win over it.
///
/// # Errors
/// If the file exists and cannot be read or parsed.
pub fn load_dotenv() -> Result<(), dotenvy::Error> {
    let file = Path::new(".env");
    if file.exists() { dotenvy::from_path(file) } else { Ok(()) }
}

/// Refuses `SIGNET_*` variables that are no settings: a typo must not become a default.
///
/// # Errors
/// Names every such variable.
pub fn refuse_unknown(command: &Command) -> Result<(), UnknownSettings> {
    let known: BTreeSet<String> =
        settings(command).into_iter().map(|setting| setting.variable).collect();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut unknown: Vec<_> =
        names.filter(|name| name.starts_with("SIGNET_") && !known.contains(name)).collect();
    unknown.sort();
    let faults: Vec<_> = unknown.iter().map(|name| fault(name)).collect();
    if faults.is_empty() { Ok(()) } else { Err(UnknownSettings { faults }) }
}

/// What is wrong with a variable that is no setting.
fn fault(name: &str) -> String {
    match REMOVED.iter().find(|(removed, _)| *removed == name) {
        Some((_, instead)) => format!("{name} is no setting any more: {instead}"),
        None => format!("unknown setting {name}"),
    }
}
