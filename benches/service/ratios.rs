//! The ratios of the service to its references, its sizes and its start times, each with its goal.

use serde::{Deserialize, Serialize};

use crate::load::as_float;
use crate::report::{Row, Series, Table};
use crate::server::Starts;
use crate::tables::{Crowd, Rows, Sizes};

/// A ratio of two results, a size or a time, with a value per round.
pub(crate) struct Metric {
    /// The name, which is also the key in JSON.
    pub(crate) name: &'static str,
    pub(crate) values: Series,
    pub(crate) better: Better,
    /// The value that the median is to reach.
    pub(crate) goal: Option<f64>,
}

/// Which values are better than others.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

impl Better {
    /// Whether `value` is worse than `other`.
    pub(crate) fn is_worse(self, value: f64, other: f64) -> bool {
        match self {
            Self::Higher => value < other,
            Self::Lower => value > other,
        }
    }

    /// A goal as text.
    pub(crate) fn goal_text(self, goal: f64) -> String {
        let sign = if self == Self::Higher { '≥' } else { '≤' };
        format!("{sign} {}", if goal >= 10.0 { format!("{goal:.0}") } else { format!("{goal:.2}") })
    }
}

/// A ratio of which higher values are better.
fn higher(name: &'static str, values: Series, goal: impl Into<Option<f64>>) -> Metric {
    Metric { name, values, better: Better::Higher, goal: goal.into() }
}

/// A ratio, size or time of which lower values are better.
fn lower(name: &'static str, values: Series, goal: impl Into<Option<f64>>) -> Metric {
    Metric { name, values, better: Better::Lower, goal: goal.into() }
}

/// The metrics that have a value.
fn measured(mut ratios: Vec<Metric>) -> Vec<Metric> {
    ratios.retain(|ratio| !ratio.values.is_empty());
    ratios
}

/// The ratios of the measured rows. Each value is the quotient of two results of the same round.
pub(crate) fn of_rows(rows: &Rows) -> Vec<Metric> {
    let (rsa, argon2) = (&rows.signatures, &rows.reused_memory);
    let rate = |row: &Row, reference: &Row| row.rate.over(&reference.rate);
    let p99 = |row: &Row, idle: &Row| row.p99.over(&idle.p99);
    let user_info = rows.verifications.cpu.over(&rows.user_info.cpu);
    let client_credentials = rsa.cpu.over(&rows.client_credentials.cpu);
    let log_in = rows.log_in.rate.over(&argon2.combined_rate(rsa));
    let mut ratios = vec![
        higher("JWKS / poem", rate(&rows.jwks, &rows.poem), 0.92),
        higher("CPU of an RSA verification / of a userinfo response", user_info, None),
        higher(
            "client-credentials token / RSA signature",
            rate(&rows.client_credentials, rsa),
            None,
        ),
        higher("CPU of an RSA signature / of a client-credentials token", client_credentials, 0.90),
        higher("access token without HTTP / RSA signature", rate(&rows.tokens, rsa), 0.90),
    ];
    ratios.extend(of_refresh(rows));
    ratios.extend([
        higher("login / limit of Argon2id in reused memory and RSA signature", log_in, 0.95),
        higher("login / Argon2id in fresh memory", rate(&rows.log_in, &rows.fresh_memory), 1.20),
        lower(
            "p99 of JWKS now and then, storm of logins / idle server",
            p99(&rows.low_rate_in_storm, &rows.low_rate),
            3.0,
        ),
        lower(
            "p99 of JWKS at full rate, storm of logins / idle server",
            p99(&rows.full_rate_in_storm, &rows.jwks),
            3.0,
        ),
    ]);
    measured(ratios)
}

/// The ratios of refreshes. On PostgreSQL, the ratio to bare signatures has no goal, because the
/// database's processes use the same cores.
fn of_refresh(rows: &Rows) -> Vec<Metric> {
    let (rsa, pgbench, refresh) = (&rows.signatures, &rows.pgbench, &rows.refresh);
    let bare_goal = pgbench.rate.is_empty().then_some(0.62);
    let limit = refresh.rate.over(&rsa.combined_rate(pgbench));
    let cpu = rsa.cpu.with(&pgbench.cpu, |rsa, pgbench| rsa + pgbench).over(&refresh.total_cpu());
    vec![
        higher("refresh / RSA signature", refresh.rate.over(&rsa.rate), bare_goal),
        higher("refresh / limit of RSA signature and pgbench", limit, 0.85),
        higher("CPU of RSA signature and pgbench / of a refresh", cpu, None),
    ]
}

/// The ratios of a thousand concurrent logins.
pub(crate) fn of_crowd(crowd: &Crowd) -> Vec<Metric> {
    measured(vec![
        lower("last of 1,000 concurrent logins / time of 1,000 hashes", crowd.ratio.clone(), 1.3),
        lower("peak memory of 1,000 concurrent logins / limit", crowd.peak_ratio.clone(), 1.0),
    ])
}

/// Sizes and times, which depend on the machine.
pub(crate) fn of_sizes(sizes: &Sizes, crowd: &Crowd) -> Vec<Metric> {
    let mut binary = Series::default();
    if sizes.binary > 0 {
        binary.push(as_float(usize::try_from(sizes.binary).unwrap_or(0)) / 1_048_576.0);
    }
    let Starts { times, idle } = &sizes.used_database;
    measured(vec![
        lower("start to first response, warm database, ms", times.clone(), 20.0),
        lower("start to first response, poem, ms", sizes.poem.clone(), None),
        lower(
            "start to first response, new database and key, ms",
            sizes.new_database.clone(),
            600.0,
        ),
        lower("idle memory, warm database, MiB", idle.clone(), 20.0),
        lower(
            "peak memory of 1,000 concurrent logins, MiB",
            crowd.peak.clone(),
            crowd.peak_limit(),
        ),
        lower("last of 1,000 concurrent logins, s", crowd.last.clone(), None),
        lower("1,000 hashes on all cores, s", crowd.hashes.clone(), None),
        lower("binary, MiB", binary, None),
    ])
}

/// A table of ratios with their goals.
pub(crate) fn table(title: &str, ratios: &[Metric]) -> Table {
    let mut table = Table::default();
    table.head(&[title, "median (min–max)", "goal", ""]);
    for Metric { name, values, better, goal } in ratios {
        let is_missed = goal.is_some_and(|goal| better.is_worse(values.median(), goal));
        let missed = if is_missed { "missed" } else { "" };
        let goal = goal.map(|goal| better.goal_text(goal)).unwrap_or_default();
        table.line(&[name, &values.spread(), &goal, missed]);
    }
    table
}
