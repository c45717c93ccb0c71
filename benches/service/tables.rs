//! The tables that a run prints.

use crate::load::{Failures, as_float, cores};
use crate::report::{Row, Series, Table, list, number};
use crate::server::Starts;

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
    /// A thousand concurrent logins.
    pub(crate) crowd: Row,
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
    /// Idle memory of the server before the first round, in MiB.
    pub(crate) idle: f64,
    /// Peak memory, in MiB.
    pub(crate) peak: Series,
    /// Ratio of `peak` to its limit.
    pub(crate) peak_ratio: Series,
    /// Number of logins that succeeded.
    pub(crate) succeeded: usize,
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
    /// Permitted peak memory, in MiB: idle memory, 19 MiB for each hashing thread, and 64 MiB.
    pub(crate) fn peak_limit(&self) -> f64 {
        self.idle + 19.0 * as_float(cores()) + 64.0
    }

    /// How often each response occurred; `None` if no logins were measured.
    pub(crate) fn responses(&self) -> Option<String> {
        let failed = list(&self.failures);
        let separator = if failed.is_empty() { "" } else { ", " };
        let is_measured = !self.last.is_empty();
        is_measured.then(|| format!("{} × 200{separator}{failed}", self.succeeded))
    }
}

/// Memory, start times and binary size.
#[derive(Default)]
pub(crate) struct Sizes {
    /// Starts on a database with rows.
    pub(crate) used_database: Starts,
    /// Start times on a new database, in milliseconds.
    pub(crate) new_database: Series,
    /// Start times of poem with fixed bytes, in milliseconds.
    pub(crate) poem: Series,
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
    pub(crate) fn named(&self) -> Vec<(&'static str, Row)> {
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
            ("1,000 concurrent logins", self.crowd.clone()),
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
