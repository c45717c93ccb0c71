//! The results of a run as JSON, for drawings and for the baseline.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::load::{Failures, cores};
use crate::ratios::{Better, Metric};
use crate::report::{Row, Series};
use crate::run::Run;

/// The results of a run on one database.
#[derive(Serialize, Deserialize)]
pub(crate) struct Results {
    /// `SQLite` or `PostgreSQL`.
    pub(crate) database: String,
    /// The day of the run, in UTC.
    pub(crate) date: String,
    /// The processor and the number of cores.
    pub(crate) machine: String,
    /// Number of rounds.
    pub(crate) rounds: usize,
    /// Rates, latencies and CPU times.
    pub(crate) loads: Vec<Load>,
    /// Ratios, which are comparable between machines.
    pub(crate) ratios: Vec<Measured>,
    /// Sizes and times.
    pub(crate) sizes: Vec<Measured>,
}

/// The results of a load or of a reference.
#[derive(Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) name: String,
    /// Responses or calls per second.
    pub(crate) rate: Spread,
    /// Latencies, in milliseconds.
    pub(crate) p50_ms: Option<Spread>,
    pub(crate) p99_ms: Option<Spread>,
    /// CPU time per response or call, in microseconds. For a server, without that of PostgreSQL.
    pub(crate) cpu_us: Option<Spread>,
    /// CPU time of PostgreSQL per response of a server, in microseconds.
    pub(crate) postgres_cpu_us: Option<Spread>,
    /// Failed requests by cause.
    pub(crate) failures: Failures,
}

/// A ratio, a size or a time.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) spread: Spread,
    /// Which values are better.
    pub(crate) better: Better,
    /// The value that the median is to reach.
    pub(crate) goal: Option<f64>,
}

/// The median of the rounds, and the range.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if nothing was measured.
    fn of(series: &Series) -> Option<Self> {
        let (median, min, max) = (series.median(), series.min(), series.max());
        median.is_finite().then_some(Self { median, min, max })
    }
}

impl Load {
    /// The results of the rows that were measured.
    pub(crate) fn measured(rows: &[(&str, Row)]) -> Vec<Self> {
        let measured = rows.iter().filter_map(|(name, row)| {
            Some(Self {
                name: (*name).to_owned(),
                rate: Spread::of(&row.rate)?,
                p50_ms: Spread::of(&row.p50),
                p99_ms: Spread::of(&row.p99),
                cpu_us: Spread::of(&row.cpu),
                postgres_cpu_us: Spread::of(&row.postgres_cpu),
                failures: row.failures.clone(),
            })
        });
        measured.collect()
    }
}

impl Measured {
    /// The ratios, sizes and times that have a value.
    pub(crate) fn all(ratios: &[Metric]) -> Vec<Self> {
        let measured = ratios.iter().filter_map(|Metric { name, values, better, goal }| {
            let spread = Spread::of(values)?;
            Some(Self { name: (*name).to_owned(), spread, better: *better, goal: *goal })
        });
        measured.collect()
    }
}

/// The name of the database of a run.
pub(crate) fn database(run: &Run) -> &'static str {
    if run.database_url.is_some() { "PostgreSQL" } else { "SQLite" }
}

/// The processor of this machine and the number of cores.
pub(crate) fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|it| it.split_once(": ")).map_or("unknown processor", |it| it.1);
    format!("{model}, {} cores", cores())
}

/// Writes a value as JSON to a file.
pub(crate) fn write(file: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
