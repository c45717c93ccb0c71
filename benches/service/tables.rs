//! The tables that a run prints.

use crate::load::{Failures, as_float, cores};
use crate::report::{Row, Series, Table, list, number};

/// A row for each load and each reference.
#[derive(Default)]
pub(crate) struct Rows {
    /// The reference for `jwks`.
    pub(crate) poem: Row,
    pub(crate) jwks: Row,
    /// The reference for `user_info`.
    pub(crate) verifications: Row,
    pub(crate) user_info: Row,
    /// The reference for `client_credentials`, `tokens` and `refresh`.
    pub(crate) signatures: Row,
    pub(crate) client_credentials: Row,
    pub(crate) tokens: Row,
    /// Refreshes without signatures and without Signet.
    pub(crate) pgbench: Row,
    pub(crate) refresh: Row,
    pub(crate) reused_memory: Row,
    pub(crate) fresh_memory: Row,
    pub(crate) log_in: Row,
    /// Key set requests at a low rate, without logins.
    pub(crate) low_rate: Row,
    pub(crate) low_rate_in_storm: Row,
    pub(crate) full_rate_in_storm: Row,
    pub(crate) storm_log_ins: Row,
}

/// The CPU time of a refresh and its parts, in microseconds.
pub(crate) struct CostOfRefresh {
    /// The whole refresh, measured in the server.
    pub(crate) whole: f64,
    pub(crate) signing: f64,
    pub(crate) codec: f64,
    pub(crate) transaction: f64,
    /// Transactions per second without other work.
    pub(crate) rotations: f64,
    /// Refreshes that are refused before any database query.
    pub(crate) refused: Row,
}

/// The results of a thousand concurrent logins.
#[derive(Default)]
pub(crate) struct Crowd {
    /// Peak memory, in MiB.
    pub(crate) peak: Series,
    /// Number of logins that succeeded.
    pub(crate) answered: usize,
    /// Logins that failed.
    pub(crate) failures: Failures,
    /// Time until the last response, in seconds.
    pub(crate) last: Series,
    /// Time for a thousand hashes on all cores, in seconds.
    pub(crate) hashes: Series,
    /// Ratio of `last` to `hashes`.
    pub(crate) ratio: Series,
}

impl Crowd {
    pub(crate) fn table(&self, idle: f64) -> Table {
        let mut table = Table::default();
        table.head(&["1,000 concurrent logins", "measured", "goal"]);
        self.add_to(&mut table, idle);
        table
    }

    fn add_to(&self, table: &mut Table, idle: f64) {
        let goal = idle + 19.0 * as_float(cores()) + 64.0;
        let responses = format!("{} × 200 {}", self.answered, list(&self.failures));
        for (name, measured, goal) in [
            ("peak memory, MiB", self.peak.spread(), format!("≤ {goal:.0}")),
            ("responses", responses, "only 200".to_owned()),
            ("last response, s", self.last.spread(), String::new()),
            ("1,000 hashes on all cores, s", self.hashes.spread(), String::new()),
            ("ratio of these two times", self.ratio.spread(), "≤ 1.3".to_owned()),
        ] {
            table.line(&[name, &measured, &goal]);
        }
    }
}

/// Memory, start times and binary size.
pub(crate) struct Sizes {
    /// Idle memory after the start, in MiB.
    pub(crate) idle: f64,
    /// The results of a thousand concurrent logins.
    pub(crate) crowd: Crowd,
    /// Start times on a database with rows, in milliseconds.
    pub(crate) starts_on_used_database: Series,
    /// Start times on a new database, in milliseconds.
    pub(crate) starts_on_new_database: Series,
    /// Size of the binary, in bytes.
    pub(crate) binary: u64,
}

impl Rows {
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::default();
        table.head(&[
            "load",
            "per second: median (min–max)",
            "p50, ms",
            "p99, ms",
            "CPU, µs",
            "peak, MiB",
            "failures",
        ]);
        for (name, row) in self.named() {
            table.row(name, &row);
        }
        table
    }

    /// The rows with their names, in the order of the table.
    fn named(&self) -> Vec<(&'static str, Row)> {
        let limit =
            |one: &Row, other: &Row| Row { rate: one.combined_rate(other), ..Row::default() };
        let limit_of_refresh = limit(&self.signatures, &self.pgbench);
        let limit_of_log_in = limit(&self.reused_memory, &self.signatures);
        vec![
            ("reference: poem, fixed bytes", self.poem.clone()),
            ("JWKS", self.jwks.clone()),
            ("reference: RSA-2048 verifications, all cores", self.verifications.clone()),
            ("userinfo", self.user_info.clone()),
            ("reference: RSA-2048 signatures, all cores", self.signatures.clone()),
            ("client-credentials token", self.client_credentials.clone()),
            ("access tokens, all cores, no HTTP", self.tokens.clone()),
            ("reference: refreshes in batches of 32 by pgbench", self.pgbench.clone()),
            ("limit: a signature and a refresh by pgbench", limit_of_refresh),
            ("refresh, durable", self.refresh.clone()),
            ("reference: Argon2id, memory reused, all cores", self.reused_memory.clone()),
            ("limit: a hash in reused memory and a signature", limit_of_log_in),
            ("login", self.log_in.clone()),
            ("Argon2id, memory fresh, blocking threads", self.fresh_memory.clone()),
            ("JWKS now and then, no logins", self.low_rate.clone()),
            ("JWKS now and then, storm of logins", self.low_rate_in_storm.clone()),
            ("JWKS at full rate, storm of logins", self.full_rate_in_storm.clone()),
            ("logins of the storm", self.storm_log_ins.clone()),
        ]
    }
}

impl CostOfRefresh {
    pub(crate) fn table(&self) -> Table {
        let Self { whole, signing, codec, transaction, .. } = self;
        let http = self.refused.cpu.median() - codec / 2.0;
        let mut table = Table::default();
        table.head(&["CPU time of a refresh", "µs"]);
        for (part, micros) in [
            ("whole, in the server", *whole),
            ("signing the access token", *signing),
            ("decoding and encoding the refresh token", *codec),
            ("transaction: update, account, audit row, shared commit", *transaction),
            ("HTTP, JSON, attempt limits, log line (measured with forged tokens)", http),
            ("the rest", whole - signing - codec - transaction - http),
        ] {
            table.line(&[part, &number(micros)]);
        }
        table.blank();
        table.head(&["for comparison", "per second"]);
        table.line(&["rejected forged tokens over HTTP", &number(self.refused.rate.median())]);
        table.line(&["durable rotations without HTTP and signing", &number(self.rotations)]);
        table
    }
}

impl Sizes {
    pub(crate) fn table(&self) -> Table {
        let mebibytes = as_float(usize::try_from(self.binary).unwrap_or(0)) / 1_048_576.0;

        let mut table = Table::default();
        table.head(&["size and start", "measured", "goal"]);
        for (name, measured, goal) in [
            ("memory, idle after start, MiB", number(self.idle), "≤ 25".to_owned()),
            ("start, warm database, ms", self.starts_on_used_database.spread(), "≤ 150".to_owned()),
            ("start, new key, ms", self.starts_on_new_database.spread(), "≤ 600".to_owned()),
            ("binary, MiB", number(mebibytes), String::new()),
        ] {
            table.line(&[name, &measured, &goal]);
        }
        table.line(&["1,000 concurrent logins:", "", ""]);
        self.crowd.add_to(&mut table, self.idle);
        table
    }
}
