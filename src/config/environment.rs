//! The process environment: `.env` is read into it, and a `SIGNET_*` name nobody knows is an error.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Command;

use crate::config::reference::settings;

/// A variable that looks like a setting and is none, perhaps a misspelt one.
#[derive(Debug, thiserror::Error)]
#[error("unknown setting {} (see `signet serve --help` or docs/configuration.md)", names.join(", "))]
pub struct UnknownSettings {
    names: Vec<String>,
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
    let names: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("SIGNET_") && !known.contains(name))
        .collect();
    if names.is_empty() { Ok(()) } else { Err(UnknownSettings { names }) }
}
