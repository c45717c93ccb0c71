//! The measurements and their order.

use std::fs;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, bail};
use openssl::pkey::{PKey, Private};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::baseline;
use crate::breakdown::Parts;
use crate::clients;
use crate::load::{self, Outcome, Work, add_failures, as_float};
use crate::pgbench::Pgbench;
use crate::postgres::PostgresCpu;
use crate::priority::Priorities;
use crate::process::Process;
use crate::ratios;
use crate::reference::{self, Speed};
use crate::report::{Row, Series, list};
use crate::results::{self, Load, Measured, Results};
use crate::run::{Part, Run};
use crate::server::{
    JWKS_FILE, Starts, settings, start, start_on_new_database, start_poem, temporary_directory,
};
use crate::tables::{CostOfRefresh, Crowd, Rows, Sizes};
use crate::users::User;
use crate::workload::{
    CLIENT_CREDENTIALS, CONNECTIONS, LOG_INS, LOW_RATE, STORM, USER_INFO, distribute,
};

/// Number of concurrent logins while the peak memory is measured.
const CROWD: usize = 1_000;

/// The server under test, and the data for measuring it.
pub(crate) struct Bench<'a> {
    run: &'a Run,
    /// How long a reference rate is measured in a round. Other durations are derived from this one.
    unit: Duration,
    server: Process,
    /// The reference for the JWKS.
    poem: Process,
    /// The folder with the files of the servers. It is declared after the servers, so that they
    /// have ended when it is removed.
    directory: TempDir,
    /// The reference for refreshes on PostgreSQL.
    pgbench: Option<Pgbench>,
    /// The key for reference signatures.
    key: PKey<Private>,
    users: Vec<User>,
    /// A token request for each registered client.
    client_requests: Vec<Vec<u8>>,
    rows: Rows,
    crowd: Crowd,
    priorities: Priorities,
}

/// Runs all measurements, and prints the results.
pub(crate) fn measure(run: &Run) -> anyhow::Result<()> {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<_> = averages.split(' ').take(3).collect();
    println!("{} cores, load before the run: {}", load::cores(), averages.join(" "));

    let directory = temporary_directory(run)?;
    let starts_on_new_database = start_on_new_database(run, directory.path())?;
    let mut bench = Bench::prepare(run, directory)?;
    bench.crowd.idle = bench.resident();
    bench.sign_up_all()?;
    bench.prepare_pgbench()?;
    let parts = bench.open_parts()?;
    for round in 0..run.rounds {
        println!("round {} of {}", round + 1, run.rounds);
        bench.round(round, &parts)?;
    }
    if run.only != Some(Part::Priority) {
        println!("\n{}", bench.rows.table().text());
    }
    if run.measures(Part::Refresh) {
        match bench.cost_of_a_refresh(&parts) {
            Ok(cost) => println!("{}", cost.table().text()),
            Err(error) => println!("the parts of a refresh were not measured: {error:#}\n"),
        }
    }
    parts.close();
    if run.only == Some(Part::Priority) {
        println!("{}", bench.priorities.table().text());
    }
    let sizes = bench.sizes(starts_on_new_database).unwrap_or_else(|error| {
        println!("starts and idle memory were not measured: {error:#}\n");
        Sizes::default()
    });
    bench.report(&sizes)
}

impl<'a> Bench<'a> {
    /// Starts the build of `run` on an empty database.
    pub(crate) fn open(run: &'a Run) -> anyhow::Result<Self> {
        Self::prepare(run, temporary_directory(run)?)
    }

    fn prepare(run: &'a Run, directory: TempDir) -> anyhow::Result<Self> {
        let server = start(run, directory.path())?;
        let jwks = load::fetch(server.address)?;
        fs::write(directory.path().join(JWKS_FILE), jwks)?;
        let poem = start_poem(directory.path())?;
        let unit = Duration::from_millis(if run.quick { 500 } else { 2_000 });
        let users = (0..if run.quick { 128 } else { 320 }).map(User::new).collect();
        let client_requests = clients::register(run, directory.path(), CLIENT_CREDENTIALS)?;
        let key = reference::rsa_key()?;
        let (rows, crowd, priorities) = Default::default();
        Ok(Self {
            run,
            unit,
            server,
            poem,
            directory,
            pgbench: None,
            key,
            users,
            client_requests,
            rows,
            crowd,
            priorities,
        })
    }

    /// Waits a second, then returns the resident memory in MiB.
    pub(crate) fn resident(&self) -> f64 {
        sleep(Duration::from_secs(1));
        self.server.resident()
    }

    /// Returns the results since the last call.
    pub(crate) fn take_rows(&mut self) -> Rows {
        std::mem::take(&mut self.rows)
    }

    /// Creates the tables of pgbench, if the database is on a PostgreSQL server of
    /// scripts/with-postgres.
    fn prepare_pgbench(&mut self) -> anyhow::Result<()> {
        let programs = self.run.postgres_programs.as_ref();
        let (url, cpu) = (self.run.database_url.as_ref(), self.server.postgres.clone());
        if let (Some(programs), Some(url), Some(cpu)) = (programs, url, cpu) {
            self.pgbench = Some(Pgbench::prepare(programs, url, self.directory.path(), cpu)?);
        }
        Ok(())
    }

    /// Measures starts and idle memory. With `--only`, nothing is measured.
    fn sizes(&mut self, new_database: Series) -> anyhow::Result<Sizes> {
        if self.run.only.is_some() {
            return Ok(Sizes::default());
        }
        let mut poem = Series::default();
        for _ in 0..self.run.starts() {
            poem.push(start_poem(self.directory.path())?.start.as_secs_f64() * 1_000.0);
        }
        let used_database = self.start_on_used_database()?;
        let binary = fs::metadata(&self.run.signet)?.len();
        Ok(Sizes { used_database, new_database, poem, binary })
    }

    /// Prints the ratios and sizes with their goals. Writes the results to a file, and compares the
    /// ratios with the baseline.
    fn report(&self, sizes: &Sizes) -> anyhow::Result<()> {
        let mut ratios = ratios::of_rows(&self.rows);
        ratios.extend(ratios::of_crowd(&self.crowd));
        let sizes = ratios::of_sizes(sizes, &self.crowd);
        for (title, values) in [("ratio", &ratios), ("size or time", &sizes)] {
            if !values.is_empty() {
                println!("{}", ratios::table(title, values).text());
            }
        }
        if let Some(responses) = self.crowd.responses() {
            println!("responses to 1,000 concurrent logins (goal: only 200): {responses}\n");
        }
        let database = results::database(self.run);
        let results = Results {
            database: database.to_owned(),
            date: OffsetDateTime::now_utc().date().to_string(),
            machine: results::machine(),
            rounds: self.run.rounds,
            loads: Load::measured(&self.rows.named()),
            ratios: Measured::all(&ratios),
            sizes: Measured::all(&sizes),
        };
        if let Some(file) = &self.run.json {
            results::write(file, &results)?;
        }
        match baseline::read(&self.run.baseline)?.get(database) {
            _ if results.ratios.is_empty() => {}
            Some(before) => println!("{}", baseline::comparison(before, &results.ratios)),
            None => println!("{} has no ratios for {database}", self.run.baseline.display()),
        }
        if self.run.update_baseline {
            baseline::update(&self.run.baseline, database, &results.ratios)?;
        }
        Ok(())
    }

    fn open_parts(&mut self) -> anyhow::Result<Parts> {
        let mut arguments = vec!["signet".to_owned()];
        arguments.extend(settings(self.run, self.directory.path()));
        let user = self.users.first_mut().context("there are no users")?;
        Parts::open(&arguments, user)
    }

    pub(crate) fn sign_up_all(&mut self) -> anyhow::Result<()> {
        let work = distribute(&mut self.users, LOG_INS, |users| Work::SignUp { users, next: 0 });
        let outcome = load::run(self.server.address, work, Duration::from_mins(1))?;
        if !outcome.failures.is_empty() {
            println!("failed sign-ups: {}", list(&outcome.failures));
        }
        self.users = Work::into_users(outcome.work);
        // Warm up, so that the first round does not differ from later rounds.
        load::run(self.poem.address, Work::jwks(CONNECTIONS, Duration::ZERO), self.unit / 2)?;
        self.refresh(self.unit / 2)?;
        self.take_rows();
        Ok(())
    }

    fn round(&mut self, round: usize, parts: &Parts) -> anyhow::Result<()> {
        for part in
            [Part::Jwks, Part::UserInfo, Part::ClientCredentials, Part::Refresh, Part::Login]
        {
            if self.run.measures(part) {
                self.measure(part, round, parts)?;
            }
        }
        if self.run.measures(Part::Storm) {
            self.storm_round()?;
        }
        let is_first_or_slow = round == 0 || !self.run.quick || self.run.only.is_some();
        if self.run.measures(Part::Crowd) && is_first_or_slow {
            self.measure_concurrent_logins()?;
        }
        // Not part of a full run. Developers choose the priority of the hashing threads by it.
        if self.run.only == Some(Part::Priority) {
            self.priorities.round(&self.server, &mut self.users, self.unit)?;
        }
        Ok(())
    }

    /// Measures the reference and the service, in alternating order.
    fn measure(&mut self, part: Part, round: usize, parts: &Parts) -> anyhow::Result<()> {
        for turn in turns(round) {
            match turn {
                Turn::Reference => self.measure_reference(part, round, parts)?,
                Turn::Service => self.measure_service(part)?,
            }
        }
        Ok(())
    }

    fn measure_reference(&mut self, part: Part, round: usize, parts: &Parts) -> anyhow::Result<()> {
        let (rows, unit) = (&mut self.rows, self.unit);
        match part {
            Part::Jwks => {
                let work = Work::jwks(CONNECTIONS, Duration::ZERO);
                measure_load(&self.poem, &mut rows.poem, work, unit)?;
            }
            Part::UserInfo => {
                rows.verifications.push(&reference::verifications(&self.key, unit / 2)?);
            }
            Part::ClientCredentials => self.measure_signatures(round)?,
            Part::Refresh => {
                self.measure_signatures(round)?;
                self.rows.tokens.push(&or_none(parts.tokens_on_all_cores(unit)));
                if let Some(pgbench) = &mut self.pgbench {
                    self.rows.pgbench.push(&or_none(pgbench.refreshes(2 * unit)));
                }
            }
            Part::Login => {
                self.measure_signatures(round)?;
                let rows = &mut self.rows;
                rows.reused_memory.push(&reference::hashes_in_reused_memory(unit)?);
                rows.fresh_memory.rate.push(reference::hashes_in_fresh_memory(unit)?);
            }
            Part::Storm | Part::Crowd | Part::Priority => {}
        }
        Ok(())
    }

    /// Measures bare signatures, once in each round. They are the reference for several parts.
    fn measure_signatures(&mut self, round: usize) -> anyhow::Result<()> {
        if self.rows.signatures.rate.len() <= round {
            self.rows.signatures.push(&reference::signatures(&self.key, self.unit)?);
        }
        Ok(())
    }

    /// Runs the load of this part and adds a result to its row.
    pub(crate) fn measure_service(&mut self, part: Part) -> anyhow::Result<()> {
        let (server, users, rows) = (&self.server, &mut self.users, &mut self.rows);
        match part {
            Part::Jwks => {
                let work = Work::jwks(CONNECTIONS, Duration::ZERO);
                measure_load(server, &mut rows.jwks, work, self.unit)?;
            }
            Part::UserInfo => {
                let work = distribute(users, USER_INFO, |users| Work::UserInfo { users, next: 0 });
                let outcome = measure_load(server, &mut rows.user_info, work, self.unit)?;
                self.users = Work::into_users(outcome.work);
            }
            Part::ClientCredentials => {
                let fetch = |request: &Vec<u8>| Work::Fetch {
                    request: request.clone(),
                    pause: Duration::ZERO,
                };
                let work = self.client_requests.iter().map(fetch).collect();
                measure_load(server, &mut rows.client_credentials, work, self.unit)?;
            }
            Part::Refresh => self.refresh(2 * self.unit)?,
            Part::Login => {
                let work = distribute(users, LOG_INS, |users| Work::LogIn { users, next: 0 });
                let outcome = measure_load(server, &mut rows.log_in, work, 2 * self.unit)?;
                self.users = Work::into_users(outcome.work);
            }
            Part::Storm => self.storm_round()?,
            Part::Crowd => self.measure_concurrent_logins()?,
            Part::Priority => {}
        }
        Ok(())
    }

    fn refresh(&mut self, time: Duration) -> anyhow::Result<()> {
        let work =
            distribute(&mut self.users, CONNECTIONS, |users| Work::Refresh { users, next: 0 });
        let outcome = measure_load(&self.server, &mut self.rows.refresh, work, time)?;
        self.users = Work::into_users(outcome.work);
        Ok(())
    }

    /// Fetches the key set at a low rate from an idle server. Then fetches it during a burst of
    /// logins, first at the low rate and then at the highest rate.
    fn storm_round(&mut self) -> anyhow::Result<()> {
        let (clients, pause) = LOW_RATE;
        let low_rate = || Work::jwks(clients, pause);
        measure_load(&self.server, &mut self.rows.low_rate, low_rate(), self.unit)?;

        let storm = distribute(&mut self.users, STORM, |users| Work::LogIn { users, next: 0 });
        let (server, rows, unit) = (&self.server, &mut self.rows, self.unit);
        let (lead, time) = (Duration::from_millis(300), 2 * unit + Duration::from_millis(500));
        let outcome = thread::scope(|scope| {
            let storm = scope.spawn(|| load::run(server.address, storm, time));
            sleep(lead);
            // The logins use most of the server's CPU time, so only rates and latencies are
            // recorded.
            let outcome = load::run(server.address, low_rate(), unit)?;
            record(&mut rows.low_rate_in_storm, &outcome);
            let full_rate = Work::jwks(CONNECTIONS, Duration::ZERO);
            let outcome = load::run(server.address, full_rate, unit)?;
            record(&mut rows.full_rate_in_storm, &outcome);
            storm.join().unwrap_or_else(|_| bail!("the thread of the logins panicked"))
        })?;
        record(&mut self.rows.storm_log_ins, &outcome);
        self.users = Work::into_users(outcome.work);
        Ok(())
    }

    /// Measures a thousand concurrent logins.
    fn measure_concurrent_logins(&mut self) -> anyhow::Result<()> {
        let rate_before = reference::hashes_in_reused_memory(self.unit)?.rate;
        let accounts = self.users.len();
        let log_in = |number| Work::LogIn { users: vec![User::new(number % accounts)], next: 0 };
        let work = (0..CROWD).map(log_in).collect();
        self.server.reset_peak();
        let outcome = load::run(self.server.address, work, Duration::from_nanos(1))?;
        let peak = self.server.peak();
        self.crowd.peak.push(peak);
        self.crowd.peak_ratio.push(peak / self.crowd.peak_limit());
        record(&mut self.rows.crowd, &outcome);
        self.crowd.succeeded += outcome.latencies.len();
        add_failures(&mut self.crowd.failures, &outcome.failures);
        let rate_after = reference::hashes_in_reused_memory(self.unit)?.rate;
        let hashes = as_float(CROWD) / f64::midpoint(rate_before, rate_after);
        let last = outcome.elapsed.as_secs_f64();
        self.crowd.last.push(last);
        self.crowd.hashes.push(hashes);
        self.crowd.ratio.push(last / hashes);
        Ok(())
    }

    /// Measures starts on the database of this run. Stops the server under test first, because only
    /// one server at a time may use a SQLite file.
    pub(crate) fn start_on_used_database(&mut self) -> anyhow::Result<Starts> {
        self.server.stop();
        let mut starts = Starts::default();
        for _ in 0..self.run.starts() {
            let server = start(self.run, self.directory.path())?;
            starts.times.push(server.start.as_secs_f64() * 1_000.0);
            sleep(Duration::from_secs(1));
            starts.idle.push(server.resident());
        }
        Ok(starts)
    }

    fn cost_of_a_refresh(&mut self, parts: &Parts) -> anyhow::Result<CostOfRefresh> {
        let forged = (0..CONNECTIONS).map(|_| Work::Forged).collect();
        let mut refused = Row::default();
        measure_load(&self.server, &mut refused, forged, self.unit)?;
        let (signing, codec) = (parts.signing(self.unit / 2)?, parts.codec(self.unit / 4)?);
        let mut users: Vec<_> = self.users.drain(..CONNECTIONS).collect();
        let (rotations, transaction) = parts.rotations(&mut users, 2 * self.unit)?;
        self.users.append(&mut users);
        let whole = self.rows.refresh.cpu.median();
        Ok(CostOfRefresh { whole, signing, codec, transaction, rotations, refused })
    }
}

#[derive(PartialEq)]
enum Turn {
    Reference,
    Service,
}

/// The machine is warmer during the second measurement, so the order alternates.
fn turns(round: usize) -> [Turn; 2] {
    if round.is_multiple_of(2) {
        [Turn::Reference, Turn::Service]
    } else {
        [Turn::Service, Turn::Reference]
    }
}

/// A reference that needs the database may fail. The round then has no value, and the run
/// continues.
fn or_none(speed: anyhow::Result<Speed>) -> Speed {
    speed.unwrap_or_else(|error| {
        println!("a reference was not measured: {error:#}");
        Speed { rate: f64::NAN, cpu: f64::NAN }
    })
}

/// Runs a load, and records its results and the resources that the process used.
fn measure_load(
    process: &Process,
    row: &mut Row,
    work: Vec<Work>,
    time: Duration,
) -> anyhow::Result<Outcome> {
    process.reset_peak();
    let postgres_cpu = || process.postgres.as_ref().map(PostgresCpu::time);
    let (cpu_before, postgres_cpu_before) = (process.cpu_time(), postgres_cpu());
    let outcome = load::run(process.address, work, time)?;
    let used = process.cpu_time().saturating_sub(cpu_before);
    if let (Some(after), Some(before)) = (postgres_cpu(), postgres_cpu_before) {
        let used = after.saturating_sub(before);
        row.postgres_cpu.push(used.as_secs_f64() * 1e6 / as_float(outcome.latencies.len()));
    }
    row.cpu.push(used.as_secs_f64() * 1e6 / as_float(outcome.latencies.len()));
    row.peak.push(process.peak());
    record(row, &outcome);
    Ok(outcome)
}

pub(crate) fn record(row: &mut Row, outcome: &Outcome) {
    row.rate.push(outcome.rate());
    row.p50.push(outcome.percentile(50));
    row.p99.push(outcome.percentile(99));
    add_failures(&mut row.failures, &outcome.failures);
}
