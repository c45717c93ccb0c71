//! The file of `--map`: the names of a source's columns.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::Deserialize;

/// Maps a member of Signet's own format to the name of the column in the source.
type Names = BTreeMap<String, String>;

/// The content of the file.
#[derive(Default, Deserialize)]
pub(super) struct Map {
    /// The names of the columns of audit events. The entry `table` is the name of their table.
    #[serde(default)]
    pub(super) auth_events: Names,
    /// The names of the columns of accounts. The entry `table` is the name of their table.
    #[serde(flatten)]
    pub(super) accounts: Names,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> anyhow::Result<Map> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        // The error itself would quote the line, which is confidential if this is another file.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        anyhow!("{}, line {line}: {}", path.display(), error.message())
    })
}
