//! Compares two builds in one run (`--against`).
//!
//! Each round measures both builds, one after the other and in alternating order, so that other
//! load on the machine affects both alike. The result is the median of the rounds' ratios, not the
//! ratio of two medians.

use std::path::Path;

use crate::load::{Failures, add_failures};
use crate::plan::Bench;
use crate::report::{Row, Series, Table, list};
use crate::run::{Part, Run};
use crate::server::Starts;
use crate::tables::Rows;

/// The parts that are compared, in the order in which a round measures them.
const PARTS: [Part; 6] =
    [Part::Jwks, Part::UserInfo, Part::ClientCredentials, Part::Refresh, Part::Login, Part::Storm];

/// A row of the table: the results of a load on both builds.
struct Comparison {
    part: Part,
    name: &'static str,
    row: fn(&Rows) -> &Row,
    rates: [Series; 2],
    failures: [Failures; 2],
    /// The rate of this build, divided by that of the other build.
    rate_ratio: Series,
    /// As `rate_ratio`, for the CPU time per response.
    cpu_ratio: Series,
    /// As `rate_ratio`, for the p99 of latencies.
    p99_ratio: Series,
}

/// Measures the build of `run` and the one at `against`, and prints their ratios.
pub(crate) fn compare(run: &Run, against: &Path) -> anyhow::Result<()> {
    let other = Run {
        signet: against.to_owned(),
        database_url: run.against_database_url.clone(),
        ..run.clone()
    };
    let mut builds = [Bench::open(run)?, Bench::open(&other)?];
    for build in &mut builds {
        build.sign_up_all()?;
    }
    let mut comparisons = new_comparisons();
    comparisons.retain(|it| run.measures(it.part));
    for round in 0..run.rounds {
        println!("round {} of {}", round + 1, run.rounds);
        for part in PARTS {
            if run.measures(part) {
                in_turns(&mut builds, round, |build| build.measure_service(part))?;
                let rows = builds.each_mut().map(Bench::take_rows);
                let of_part = comparisons.iter_mut().filter(|it| it.part == part);
                of_part.for_each(|it| it.add(&rows));
            }
        }
    }
    println!("\n{}", table(&comparisons).text());
    let [this, other] = &mut builds;
    let starts = [this.start_on_used_database()?, other.start_on_used_database()?];
    println!("{}", sizes(&starts).text());
    Ok(())
}

/// Measures both builds. The machine is warmer during the second measurement, so the order
/// alternates between rounds.
fn in_turns<'a>(
    builds: &mut [Bench<'a>; 2],
    round: usize,
    mut measure: impl FnMut(&mut Bench<'a>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let [this, other] = builds;
    let (first, second) = if round.is_multiple_of(2) { (this, other) } else { (other, this) };
    measure(first)?;
    measure(second)
}

fn new_comparisons() -> Vec<Comparison> {
    let new = |part, name, row| Comparison {
        part,
        name,
        row,
        rates: Default::default(),
        failures: Default::default(),
        rate_ratio: Series::default(),
        cpu_ratio: Series::default(),
        p99_ratio: Series::default(),
    };
    vec![
        new(Part::Jwks, "JWKS", |rows| &rows.jwks),
        new(Part::UserInfo, "userinfo", |rows| &rows.user_info),
        new(Part::ClientCredentials, "client-credentials token", |rows| &rows.client_credentials),
        new(Part::Refresh, "refresh, durable", |rows| &rows.refresh),
        new(Part::Login, "login", |rows| &rows.log_in),
        new(Part::Storm, "JWKS at a low rate, idle server", |rows| &rows.low_rate),
        new(Part::Storm, "JWKS at a low rate, storm of logins", |rows| &rows.low_rate_in_storm),
        new(Part::Storm, "JWKS at full rate, storm of logins", |rows| &rows.full_rate_in_storm),
        new(Part::Storm, "logins of the storm", |rows| &rows.storm_log_ins),
    ]
}

impl Comparison {
    /// Adds the results of a round: first those of this build, then those of the other build.
    fn add(&mut self, rows: &[Rows; 2]) {
        let [this, other] = rows.each_ref().map(self.row);
        for (failures, row) in self.failures.iter_mut().zip([this, other]) {
            add_failures(failures, &row.failures);
        }
        for (rates, row) in self.rates.iter_mut().zip([this, other]) {
            rates.push(row.rate.median());
        }
        self.rate_ratio.push(this.rate.median() / other.rate.median());
        self.p99_ratio.push(this.p99.median() / other.p99.median());
        let cpu_ratio = this.cpu.median() / other.cpu.median();
        if cpu_ratio.is_finite() {
            self.cpu_ratio.push(cpu_ratio);
        }
    }
}

fn table(comparisons: &[Comparison]) -> Table {
    let mut table = Table::default();
    table.head(&[
        "load",
        "this build, per second",
        "other build, per second",
        "rate, this / other",
        "CPU, this / other",
        "p99, this / other",
        "failures, this build",
        "failures, other build",
    ]);
    for it in comparisons {
        let [this, other] = it.rates.each_ref().map(Series::spread);
        let [rate, cpu, p99] = [&it.rate_ratio, &it.cpu_ratio, &it.p99_ratio].map(Series::spread);
        let [failed, other_failed] = it.failures.each_ref().map(list);
        table.line(&[it.name, &this, &other, &rate, &cpu, &p99, &failed, &other_failed]);
    }
    table
}

fn sizes(starts: &[Starts; 2]) -> Table {
    let mut table = Table::default();
    table.head(&["size and start", "this build", "other build"]);
    let [this, other] = starts.each_ref().map(|it| it.idle.spread());
    table.line(&["memory, idle after start, MiB", &this, &other]);
    let [this, other] = starts.each_ref().map(|it| it.times.spread());
    table.line(&["start, warm database, ms", &this, &other]);
    table
}
