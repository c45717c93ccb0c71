//! The tables that a run prints.

use std::collections::BTreeMap;

use crate::load::{cores, count};
use crate::report::{Row, Series, Table, number};

/// A row for each load and each limit.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) poem: Row,
    pub(crate) jwks: Row,
    pub(crate) signatures: Row,
    pub(crate) tokens: Row,
    pub(crate) refresh: Row,
    pub(crate) reused_memory: Row,
    pub(crate) fresh_memory: Row,
    pub(crate) log_in: Row,
    pub(crate) idle: Row,
    pub(crate) storm: Row,
    pub(crate) busy_storm: Row,
    pub(crate) storm_log_ins: Row,
}

/// Breakdown of a refresh: CPU time in microseconds.
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

/// A thousand concurrent logins.
#[derive(Default)]
pub(crate) struct Crowd {
    /// Peak memory, in MiB.
    pub(crate) peak: Series,
    /// How often each status occurred.
    pub(crate) answers: BTreeMap<u16, u64>,
    /// Time of the last response, in seconds.
    pub(crate) last: Series,
    /// Time of a thousand hashes on all cores, in seconds.
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
        let goal = idle + 19.0 * count(cores()) + 64.0;
        let answers = self.answers.iter().map(|(status, count)| format!("{count} × {status}"));
        let answers = answers.collect::<Vec<_>>().join(", ");
        for (name, measured, goal) in [
            ("peak memory, MiB", self.peak.spread(), format!("≤ {goal:.0}")),
            ("responses", answers, "only 200".to_owned()),
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
    /// A thousand concurrent logins.
    pub(crate) crowd: Crowd,
    /// Start times on a database with rows, in milliseconds.
    pub(crate) warm: Series,
    /// Start times without a database, in milliseconds.
    pub(crate) new_key: Series,
    /// Size of the binary, in bytes.
    pub(crate) binary: u64,
}

impl Rows {
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::default();
        table.head(&[
            "load",
            "per second: median (min–max)",
            "ratio to the limit",
            "p50, ms",
            "p99, ms",
            "CPU, µs",
            "peak, MiB",
            "503",
        ]);
        table.row("limit: poem, fixed bytes", &self.poem, None);
        table.row("JWKS", &self.jwks, Some((&self.poem, 0.90)));
        table.row("limit: RSA-2048 signatures, all cores", &self.signatures, None);
        table.row("access tokens, all cores, no HTTP", &self.tokens, Some((&self.signatures, 0.9)));
        table.row("refresh, durable", &self.refresh, Some((&self.signatures, 0.60)));
        table.row("limit: Argon2id, memory kept, all cores", &self.reused_memory, None);
        table.row("login", &self.log_in, Some((&self.reused_memory, 0.96)));
        table.row("Argon2id, memory fresh, blocking threads", &self.fresh_memory, None);
        table.row(
            "login, compared with fresh memory",
            &self.log_in,
            Some((&self.fresh_memory, 1.20)),
        );
        table.row("JWKS now and then, nothing else", &self.idle, None);
        table.row("JWKS now and then, storm of logins", &self.storm, None);
        table.row("JWKS at full rate, storm of logins", &self.busy_storm, None);
        table.row("logins of the storm", &self.storm_log_ins, None);
        table
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
            ("HTTP, JSON, limits, log line (measured with forged tokens)", http),
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
    pub(crate) fn table(&self, rows: &Rows) -> Table {
        let times_idle = |quiet: &Row, storm: &Row| {
            format!("{:.1} × idle", storm.p99.median() / quiet.p99.median())
        };
        let mebibytes = count(usize::try_from(self.binary).unwrap_or(0)) / 1_048_576.0;
        let in_storm = || "≤ 3 × idle, ≤ 50 ms".to_owned();

        let mut table = Table::default();
        table.head(&["size and start", "measured", "goal"]);
        let (light, full) =
            (times_idle(&rows.idle, &rows.storm), times_idle(&rows.jwks, &rows.busy_storm));
        for (name, measured, goal) in [
            ("p99 of JWKS in a storm, now and then", light, in_storm()),
            ("p99 of JWKS in a storm, full rate", full, in_storm()),
            ("memory, idle after start, MiB", number(self.idle), "≤ 25".to_owned()),
            ("start, warm database, ms", self.warm.spread(), "≤ 150".to_owned()),
            ("start, new key, ms", self.new_key.spread(), "≤ 600".to_owned()),
            ("binary, MiB", number(mebibytes), String::new()),
        ] {
            table.line(&[name, &measured, &goal]);
        }
        table.line(&["1,000 concurrent logins:", "", ""]);
        self.crowd.add_to(&mut table, self.idle);
        table
    }
}
