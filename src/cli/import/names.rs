//! The file of `--map`: the names of a source's columns.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};

/// The names of columns by those of Signet's members.
type Names = BTreeMap<String, String>;

/// Reads the file. Returns the names of columns, and the name of the table, if there is one.
pub(super) fn read(path: &Path) -> anyhow::Result<(Names, Option<String>)> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let mut names: Names = toml::from_str(&text)
        .map_err(|error| anyhow!("{}: {}", path.display(), error.message()))?;
    let table = names.remove("table");
    Ok((names, table))
}
