//! Medians, ranges and the tables of results.

use std::fmt::Write;

/// One value per round.
#[derive(Default)]
pub(crate) struct Series(Vec<f64>);

/// The results of a load or of a reference, with a value per round. A series is empty if it does
/// not apply.
#[derive(Default)]
pub(crate) struct Row {
    /// Responses or calls per second.
    pub(crate) rate: Series,
    /// Median latency, in milliseconds.
    pub(crate) p50: Series,
    /// Latency at the 99th percentile, in milliseconds.
    pub(crate) p99: Series,
    /// CPU time per response, in microseconds.
    pub(crate) cpu: Series,
    /// Peak resident memory, in MiB.
    pub(crate) peak: Series,
    /// The number of 503 responses in all rounds.
    pub(crate) busy: u64,
}

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        let at = |index: usize| self.0.get(index).copied().unwrap_or(f64::NAN);
        if self.0.len().is_multiple_of(2) && middle > 0 {
            f64::midpoint(at(middle - 1), at(middle))
        } else {
            at(middle)
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// The median and the range of the values.
    pub(crate) fn spread(&self) -> String {
        let [median, min, max] = [self.median(), self.min(), self.max()].map(number);
        format!("{median} ({min}–{max})")
    }

    fn cell(&self) -> String {
        if self.0.is_empty() { String::new() } else { number(self.median()) }
    }
}

/// A table in Markdown.
#[derive(Default)]
pub(crate) struct Table(String);

impl Table {
    /// Adds a row. `reference` is the row that its rate is compared with, and the goal for the
    /// ratio of the two rates.
    pub(crate) fn row(&mut self, name: &str, row: &Row, reference: Option<(&Row, f64)>) {
        if row.rate.0.is_empty() {
            return;
        }
        let ratio = reference.map(|(reference, goal)| {
            format!("{:.2} (goal {goal:.2})", row.rate.median() / reference.rate.median())
        });
        let peak = if row.peak.0.is_empty() { String::new() } else { number(row.peak.max()) };
        self.line(&[
            name,
            &row.rate.spread(),
            &ratio.unwrap_or_default(),
            &row.p50.cell(),
            &row.p99.cell(),
            &row.cpu.cell(),
            &peak,
            &row.busy.to_string(),
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
