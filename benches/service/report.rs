//! Medians, ranges and the tables of results.

use std::fmt::Write;

use crate::load::Failures;
use crate::reference::Speed;

/// Values in the order in which they were measured: usually one per round.
#[derive(Clone, Default)]
pub(crate) struct Series(Vec<f64>);

/// The results of a load or of a reference, with a value per round. A series is empty if it does
/// not apply.
#[derive(Clone, Default)]
pub(crate) struct Row {
    /// Responses or calls per second.
    pub(crate) rate: Series,
    /// Median latency, in milliseconds.
    pub(crate) p50: Series,
    /// Latency at the 99th percentile, in milliseconds.
    pub(crate) p99: Series,
    /// CPU time per response or call, in microseconds. For a server, without that of PostgreSQL.
    pub(crate) cpu: Series,
    /// CPU time of PostgreSQL per response of a server, in microseconds.
    pub(crate) postgres_cpu: Series,
    /// Peak resident memory, in MiB.
    pub(crate) peak: Series,
    /// Failed requests of all rounds.
    pub(crate) failures: Failures,
}

impl Row {
    /// The rate that a program reaches at most if each of its responses takes one call of this
    /// reference and one of `other`, which share the cores.
    pub(crate) fn combined_rate(&self, other: &Self) -> Series {
        self.rate.with(&other.rate, |one, other| 1.0 / (1.0 / one + 1.0 / other))
    }

    /// CPU time per response: of the server and of PostgreSQL together.
    pub(crate) fn total_cpu(&self) -> Series {
        self.cpu.with(&self.postgres_cpu, |server, postgres| server + postgres)
    }

    /// Adds the result of a reference.
    pub(crate) fn push(&mut self, speed: &Speed) {
        self.rate.push(speed.rate);
        self.cpu.push(speed.cpu);
    }
}

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Combines the values of each round.
    pub(crate) fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| combine(*one, *other)).collect())
    }

    /// The quotient of the values of each round.
    pub(crate) fn over(&self, other: &Self) -> Self {
        self.with(other, |one, other| one / other)
    }

    /// The values that could be measured, from the least to the greatest.
    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<_> = self.0.iter().copied().filter(|it| it.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    pub(crate) fn median(&self) -> f64 {
        let values = self.sorted();
        let middle = values.len() / 2;
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        if values.len().is_multiple_of(2) && middle > 0 {
            f64::midpoint(at(middle - 1), at(middle))
        } else {
            at(middle)
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// The median and the range of the values.
    pub(crate) fn spread(&self) -> String {
        let [median, min, max] = [self.median(), self.min(), self.max()].map(number);
        format!("{median} ({min}–{max})")
    }

    fn cell(&self) -> String {
        if self.is_empty() { String::new() } else { number(self.median()) }
    }
}

/// A table in Markdown.
#[derive(Default)]
pub(crate) struct Table(String);

impl Table {
    /// Adds the results of a load or of a reference, if it was measured.
    pub(crate) fn row(&mut self, name: &str, row: &Row) {
        if row.rate.is_empty() {
            return;
        }
        let mut cpu = row.cpu.cell();
        if !row.postgres_cpu.is_empty() {
            cpu = format!("{cpu} + {}", row.postgres_cpu.cell());
        }
        let peak = if row.peak.is_empty() { String::new() } else { number(row.peak.max()) };
        self.line(&[
            name,
            &row.rate.spread(),
            &row.p50.cell(),
            &row.p99.cell(),
            &cpu,
            &peak,
            &list(&row.failures),
        ]);
    }

    pub(crate) fn line(&mut self, cells: &[&str]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }

    pub(crate) fn head(&mut self, cells: &[&str]) {
        self.line(cells);
        let rule: Vec<_> =
            std::iter::once("---").chain(cells.iter().skip(1).map(|_| "--:")).collect();
        self.line(&rule);
    }

    pub(crate) fn blank(&mut self) {
        self.0.push('\n');
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// Lists failed requests, such as `12 × 503, 1 × connection reset`.
pub(crate) fn list(failures: &Failures) -> String {
    let failures = failures.iter().map(|(cause, count)| format!("{count} × {cause}"));
    failures.collect::<Vec<_>>().join(", ")
}

/// Formats a value with about three significant digits.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        it if it >= 100.0 => 0,
        it if it >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}
