//! Two builds compared in one run: `--against`.
//!
//! Each round measures both, one after the other and in alternating order, so that other load on
//! the machine affects both alike. The result is the ratio of each pair, not of two medians.

use std::path::Path;

use crate::plan::Bench;
use crate::report::{Row, Series, Table};
use crate::run::{Part, Run};
use crate::tables::Rows;

/// A row of the table: a load, and where its results are.
struct Compared {
    part: Part,
    name: &'static str,
    row: fn(&Rows) -> &Row,
    rates: [Series; 2],
    /// Ratios of this build to the other one, a value per round.
    rate: Series,
    cpu: Series,
    p99: Series,
}

/// Measures the build of `run` and the one at `against`, and prints their ratios.
pub(crate) fn compare(run: &Run, against: &Path) -> anyhow::Result<()> {
    let other = Run {
        signet: against.to_owned(),
        database_url: run.against_database_url.clone(),
        ..run.clone()
    };
    let mut builds = [Bench::open(run)?, Bench::open(&other)?];
    let idle = builds.each_ref().map(Bench::resident);
    for build in &mut builds {
        build.sign_up_all()?;
    }
    let mut compared = rows();
    compared.retain(|it| run.measures(it.part));
    for round in 0..run.rounds {
        println!("round {} of {}", round + 1, run.rounds);
        for part in [Part::Jwks, Part::Refresh, Part::Login, Part::Storm] {
            if run.measures(part) {
                in_turns(&mut builds, round, |build| build.measure_service(part))?;
                let rows = builds.each_mut().map(Bench::take_rows);
                compared.iter_mut().filter(|it| it.part == part).for_each(|it| it.add(&rows));
            }
        }
    }
    println!("\n{}", table(&compared).text());
    let [this, other] = &mut builds;
    let starts = [this.start_on_used_database()?, other.start_on_used_database()?];
    println!("{}", sizes(idle, &starts).text());
    Ok(())
}

/// The machine is warmer during the second measurement, so the order alternates.
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

fn rows() -> Vec<Compared> {
    let row = |part, name, row| Compared {
        part,
        name,
        row,
        rates: Default::default(),
        rate: Series::default(),
        cpu: Series::default(),
        p99: Series::default(),
    };
    vec![
        row(Part::Jwks, "JWKS", |rows| &rows.jwks),
        row(Part::Refresh, "refresh, durable", |rows| &rows.refresh),
        row(Part::Login, "login", |rows| &rows.log_in),
        row(Part::Storm, "JWKS at a low rate, idle server", |rows| &rows.idle),
        row(Part::Storm, "JWKS at a low rate, storm of logins", |rows| &rows.storm),
        row(Part::Storm, "JWKS at full rate, storm of logins", |rows| &rows.busy_storm),
        row(Part::Storm, "logins of the storm", |rows| &rows.storm_log_ins),
    ]
}

impl Compared {
    /// Adds the results of a round, of this build and the other one.
    fn add(&mut self, rows: &[Rows; 2]) {
        let [this, other] = rows.each_ref().map(self.row);
        for (rates, row) in self.rates.iter_mut().zip([this, other]) {
            rates.push(row.rate.median());
        }
        self.rate.push(this.rate.median() / other.rate.median());
        self.p99.push(this.p99.median() / other.p99.median());
        let cpu = this.cpu.median() / other.cpu.median();
        if cpu.is_finite() {
            self.cpu.push(cpu);
        }
    }
}

fn table(compared: &[Compared]) -> Table {
    let mut table = Table::default();
    table.head(&[
        "what",
        "this, per second",
        "other, per second",
        "rate, this / other",
        "CPU, this / other",
        "p99, this / other",
    ]);
    for row in compared {
        let [this, other] = row.rates.each_ref().map(Series::spread);
        let [rate, cpu, p99] = [&row.rate, &row.cpu, &row.p99].map(Series::spread);
        table.line(&[row.name, &this, &other, &rate, &cpu, &p99]);
    }
    table
}

fn sizes(idle: [f64; 2], starts: &[Series; 2]) -> Table {
    let mut table = Table::default();
    table.head(&["size and start", "this", "other"]);
    let [this, other] = idle.map(crate::report::number);
    table.line(&["memory, idle after start, MiB", &this, &other]);
    let [this, other] = starts.each_ref().map(Series::spread);
    table.line(&["start, warm database, ms", &this, &other]);
    table
}
