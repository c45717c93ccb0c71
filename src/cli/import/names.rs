//! The file of `--map`: the names of a source's columns.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::Deserialize;

/// The names of columns by those of Signet's members.
type Names = BTreeMap<String, String>;

/// The content of the file.
#[derive(Default, Deserialize)]
pub(super) struct Map {
    /// The names of the columns of events, with that of their table as `table`.
    #[serde(default)]
    pub(super) auth_events: Names,
    /// The names of the columns of accounts, with that of their table as `table`.
    #[serde(flatten)]
    pub(super) accounts: Names,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> anyhow::Result<Map> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).map_err(|error| anyhow!("{}: {}", path.display(), error.message()))
}
