//! Draws the results of runs as tables in SVG files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::report::{list, number};
use crate::results::{Load, Measured, Results, Spread};
use crate::svg::{Bar, Cell, Drawing, Section};

/// The results of `tests/growth/operations.py` on SQLite or on PostgreSQL.
#[derive(Deserialize)]
struct Growth {
    /// `SQLite` or `PostgreSQL`.
    database: String,
    date: String,
    machine: String,
    /// The numbers of accounts and of audit events at each size.
    sizes: Vec<(u64, u64)>,
    operations: Vec<Operation>,
}

/// The latencies of an operation, for each size.
#[derive(Deserialize)]
struct Operation {
    name: String,
    /// In milliseconds.
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Ratio of the p50 at the largest size to that at the smallest.
    ratio: f64,
    goal: Option<f64>,
}

/// Draws the results in `files` as SVG files in the folder `output`.
pub(crate) fn draw(files: &[PathBuf], output: &Path) -> anyhow::Result<()> {
    let (mut results, mut growth) = (Vec::<Results>::new(), Vec::<Growth>::new());
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        if let Ok(result) = serde_json::from_str(&text) {
            results.push(result);
        } else {
            let result = serde_json::from_str(&text);
            growth.push(result.with_context(|| format!("{} has no results", file.display()))?);
        }
    }
    if results.is_empty() && growth.is_empty() {
        bail!("there are no results to draw; run scripts/bench first");
    }
    // In descending order of the names, so that SQLite comes first.
    results.sort_by(|one, other| other.database.cmp(&one.database));
    growth.sort_by(|one, other| other.database.cmp(&one.database));
    let drawings = [
        ("benchmark-ratios.svg", (!results.is_empty()).then(|| ratios(&results))),
        ("benchmark-loads.svg", (!results.is_empty()).then(|| loads(&results))),
        ("benchmark-growth.svg", operations(&growth)?),
    ];
    for (name, drawing) in drawings {
        if let Some(drawing) = drawing {
            let file = output.join(name);
            fs::write(&file, drawing.svg()).with_context(|| format!("{}", file.display()))?;
            println!("{}", file.display());
        }
    }
    Ok(())
}

fn title(what: &str, results: &[Results]) -> String {
    let conditions = results.iter().map(|Results { database, rounds, machine, date, .. }| {
        (database.as_str(), format!("{rounds} rounds; {machine}; {date}"))
    });
    format!("{what}: median and range; {}", conditions_of_all(&conditions.collect::<Vec<_>>()))
}

/// The conditions of runs on several databases: once if they are the same, otherwise for each.
fn conditions_of_all(conditions: &[(&str, String)]) -> String {
    if let Some((_, first)) = conditions.first()
        && conditions.iter().all(|(_, it)| it == first)
    {
        return first.clone();
    }
    let of_each = conditions.iter().map(|(database, it)| format!("{database}: {it}"));
    of_each.collect::<Vec<_>>().join("; ")
}

/// The ratios and the sizes, with a column for each database.
fn ratios(results: &[Results]) -> Drawing {
    let mut columns = vec![String::new()];
    columns.extend(results.iter().map(|it| it.database.clone()));
    columns.push("goal".to_owned());
    let section = |heading: &str, of: fn(&Results) -> &[Measured]| Section {
        heading: heading.to_owned(),
        rows: rows_by_name(&results.iter().map(of).collect::<Vec<_>>()),
    };
    let sections =
        vec![section("Ratios", |it| &it.ratios), section("Sizes and times", |it| &it.sizes)];
    Drawing { title: title("Ratios and goals", results), columns, sections }
}

/// A row for each name. The names of the database with the most results come first, in its order.
fn rows_by_name(databases: &[&[Measured]]) -> Vec<Vec<Cell>> {
    let mut ordered = databases.to_vec();
    ordered.sort_by_key(|measured| std::cmp::Reverse(measured.len()));
    let mut names: Vec<&str> = Vec::new();
    for measured in ordered.into_iter().flatten() {
        if !names.contains(&measured.name.as_str()) {
            names.push(&measured.name);
        }
    }
    let row = |name: &str| {
        let of_name = databases.iter().map(|it| it.iter().find(|one| one.name == name));
        let cells: Vec<Option<&Measured>> = of_name.collect();
        let values = cells.iter().flatten();
        let greatest = values.clone().map(|it| it.spread.max.max(it.goal.unwrap_or(0.0)));
        let scale = greatest.fold(0.0, f64::max);
        let goal = values.clone().find_map(|it| Some(it.better.goal_text(it.goal?)));
        let mut row = vec![Cell::text(name)];
        row.extend(cells.iter().map(|it| it.map(|it| bar(it, scale)).unwrap_or_default()));
        row.push(Cell::text(goal.unwrap_or_default()));
        row
    };
    names.into_iter().map(row).collect()
}

fn bar(measured: &Measured, scale: f64) -> Cell {
    let Measured { spread, better, goal, .. } = measured;
    // If all values of a row are 0, so is the scale.
    let scaled = |value: f64| if scale > 0.0 { value / scale } else { 0.0 };
    let goal = goal.map(|goal| (scaled(goal), !better.is_worse(spread.median, goal)));
    Cell { text: text(*spread), bar: Some(Bar { length: scaled(spread.median), goal }) }
}

fn text(Spread { median, min, max }: Spread) -> String {
    format!("{} ({}–{})", number(median), number(min), number(max))
}

/// Rates, latencies and CPU times, with a section for each database.
fn loads(results: &[Results]) -> Drawing {
    let heads = ["", "per second", "p50, ms", "p99, ms", "CPU, µs", "failures"];
    let median = |spread: Option<Spread>| spread.map(|it| number(it.median));
    let row = |load: &Load| {
        let mut cpu = median(load.cpu_us).unwrap_or_default();
        if let Some(postgres) = median(load.postgres_cpu_us) {
            cpu = format!("{cpu} + {postgres}");
        }
        let cells = [
            load.name.clone(),
            text(load.rate),
            median(load.p50_ms).unwrap_or_default(),
            median(load.p99_ms).unwrap_or_default(),
            cpu,
            list(&load.failures),
        ];
        cells.into_iter().map(Cell::text).collect()
    };
    let section = |it: &Results| Section {
        heading: it.database.clone(),
        rows: it.loads.iter().map(row).collect(),
    };
    Drawing {
        title: title("Loads and references", results),
        columns: heads.map(str::to_owned).to_vec(),
        sections: results.iter().map(section).collect(),
    }
}

/// The latencies of operations, with a section for each database. `None` without results.
fn operations(growth: &[Growth]) -> anyhow::Result<Option<Drawing>> {
    let Some(first) = growth.first() else { return Ok(None) };
    // The sizes are the heads of the columns.
    if let Some(other) = growth.iter().find(|it| it.sizes != first.sizes) {
        bail!("the results on {} and {} have different sizes", first.database, other.database);
    }
    let mut columns = vec![String::new()];
    for (accounts, _) in &first.sizes {
        columns.push(format!("{} accounts", number_of(*accounts)));
    }
    columns.extend(["p50, ratio".to_owned(), "goal".to_owned()]);
    let row = |it: &Operation| {
        let latencies = it.p50.iter().zip(&it.p99);
        let mut row = vec![Cell::text(&it.name)];
        row.extend(
            latencies.map(|(p50, p99)| Cell::text(format!("{}, {}", number(*p50), number(*p99)))),
        );
        row.push(Cell::text(number(it.ratio)));
        row.push(Cell::text(it.goal.map(|goal| format!("≤ {goal:.2}")).unwrap_or_default()));
        row
    };
    let section = |it: &Growth| Section {
        heading: it.database.clone(),
        rows: it.operations.iter().map(row).collect(),
    };
    let events = first.sizes.last().map_or(0, |(_, events)| *events);
    let conditions = growth.iter().map(|Growth { database, machine, date, .. }| {
        (database.as_str(), format!("{machine}; {date}"))
    });
    let title = format!(
        "p50 and p99 of operations in ms, by the number of accounts, up to {} audit events; {}",
        number_of(events),
        conditions_of_all(&conditions.collect::<Vec<_>>())
    );
    Ok(Some(Drawing { title, columns, sections: growth.iter().map(section).collect() }))
}

fn number_of(count: u64) -> String {
    number(crate::load::as_float(usize::try_from(count).unwrap_or(usize::MAX)))
}
