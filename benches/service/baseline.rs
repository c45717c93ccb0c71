//! The ratios of an earlier run, with which later runs are compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::report::{Table, number};
use crate::results::{Measured, Spread, write};

/// The ratios of each database.
pub(crate) type Baseline = BTreeMap<String, Vec<Measured>>;

/// Reads a baseline. It is empty if the file does not exist.
pub(crate) fn read(file: &Path) -> anyhow::Result<Baseline> {
    if !file.exists() {
        return Ok(Baseline::new());
    }
    let text = fs::read_to_string(file)?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a baseline", file.display()))
}

/// Replaces the measured ratios of a database. Ratios that this run did not measure stay.
pub(crate) fn update(file: &Path, database: &str, measured: &[Measured]) -> anyhow::Result<()> {
    let mut baseline = read(file)?;
    let stored = baseline.entry(database.to_owned()).or_default();
    for ratio in measured {
        match stored.iter_mut().find(|it| it.name == ratio.name) {
            Some(old) => *old = ratio.clone(),
            None => stored.push(ratio.clone()),
        }
    }
    write(file, &baseline)
}

/// Whether `now` is worse than `before` by more than the spread of both: its median is worse than
/// all rounds of `before`, and the median of `before` is better than all rounds of `now`.
fn is_worse(ratio: &Measured, before: Spread, now: Spread) -> bool {
    let worse = |value, other| ratio.better.is_worse(value, other);
    [before.min, before.max].iter().all(|round| worse(now.median, *round))
        && [now.min, now.max].iter().all(|round| worse(*round, before.median))
}

/// Compares the ratios of this run with those of the baseline of the same database.
pub(crate) fn comparison(baseline: &[Measured], measured: &[Measured]) -> String {
    let mut table = Table::default();
    table.head(&["ratio", "baseline", "this run", ""]);
    let mut worse = Vec::new();
    for now in measured {
        let Some(before) = baseline.iter().find(|it| it.name == now.name) else {
            table.line(&[&now.name, "–", &text(now.spread), "not in the baseline"]);
            continue;
        };
        let mut verdict = "";
        if is_worse(now, before.spread, now.spread) {
            verdict = "worse";
            worse.push(now.name.as_str());
        } else if is_worse(now, now.spread, before.spread) {
            verdict = "better";
        }
        table.line(&[&now.name, &text(before.spread), &text(now.spread), verdict]);
    }
    let summary = if worse.is_empty() {
        "no ratio is worse than the baseline by more than the spread".to_owned()
    } else {
        format!("worse than the baseline by more than the spread: {}", worse.join("; "))
    };
    format!("{}\n{summary}", table.text())
}

fn text(spread: Spread) -> String {
    format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max))
}
