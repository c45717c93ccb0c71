//! The ratios of the service to its references, and their goals.

use crate::report::{Series, Table};
use crate::tables::Rows;

/// A ratio of two results, with a value per round.
pub(crate) struct Ratio {
    pub(crate) name: &'static str,
    pub(crate) values: Series,
    pub(crate) goal: Option<Goal>,
}

/// The value that the median of a ratio is to reach.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_reached(self, median: f64) -> bool {
        match self {
            Self::AtLeast(goal) => median >= goal,
            Self::AtMost(goal) => median <= goal,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(goal) => format!("≥ {goal:.2}"),
            Self::AtMost(goal) => format!("≤ {goal:.2}"),
        }
    }
}

/// The ratios of the measured rows. Each value is the quotient of two results of the same round.
pub(crate) fn of_rows(rows: &Rows) -> Vec<Ratio> {
    let at_least = |goal| Some(Goal::AtLeast(goal));
    let new = |name, values, goal| Ratio { name, values, goal };
    let (rsa, pgbench) = (&rows.signatures, &rows.pgbench);
    // On PostgreSQL, the database's processes share the cores, so bare signatures are no limit.
    let goal_of_refresh = if pgbench.rate.is_empty() { at_least(0.62) } else { None };
    let mut ratios = vec![
        new("JWKS / poem", rows.jwks.rate.over(&rows.poem.rate), at_least(0.92)),
        new(
            "CPU of an RSA verification / of a userinfo response",
            rows.verifications.cpu.over(&rows.user_info.cpu),
            None,
        ),
        new(
            "client-credentials token / RSA signature",
            rows.client_credentials.rate.over(&rsa.rate),
            None,
        ),
        new(
            "CPU of an RSA signature / of a client-credentials token",
            rsa.cpu.over(&rows.client_credentials.cpu),
            at_least(0.90),
        ),
        new(
            "access token without HTTP / RSA signature",
            rows.tokens.rate.over(&rsa.rate),
            at_least(0.90),
        ),
        new("refresh / RSA signature", rows.refresh.rate.over(&rsa.rate), goal_of_refresh),
        new(
            "refresh / limit of RSA signature and pgbench",
            rows.refresh.rate.over(&rsa.combined_rate(pgbench)),
            at_least(0.85),
        ),
        new(
            "CPU of RSA signature and pgbench / of a refresh",
            rsa.cpu
                .with(&pgbench.cpu, |rsa, pgbench| rsa + pgbench)
                .over(&rows.refresh.total_cpu()),
            None,
        ),
        new(
            "login / limit of Argon2id in reused memory and RSA signature",
            rows.log_in.rate.over(&rows.reused_memory.combined_rate(rsa)),
            at_least(0.95),
        ),
        new(
            "login / Argon2id in fresh memory",
            rows.log_in.rate.over(&rows.fresh_memory.rate),
            at_least(1.20),
        ),
        new(
            "p99 of JWKS now and then, storm of logins / idle server",
            rows.low_rate_in_storm.p99.over(&rows.low_rate.p99),
            Some(Goal::AtMost(3.0)),
        ),
        new(
            "p99 of JWKS at full rate, storm of logins / idle server",
            rows.full_rate_in_storm.p99.over(&rows.jwks.p99),
            Some(Goal::AtMost(3.0)),
        ),
    ];
    ratios.retain(|ratio| !ratio.values.is_empty());
    ratios
}

/// A table of ratios with their goals.
pub(crate) fn table(ratios: &[Ratio]) -> Table {
    let mut table = Table::default();
    table.head(&["ratio", "median (min–max)", "goal", ""]);
    for Ratio { name, values, goal } in ratios {
        let is_missed = goal.is_some_and(|goal| !goal.is_reached(values.median()));
        let missed = if is_missed { "missed" } else { "" };
        table.line(&[name, &values.spread(), &goal.map(Goal::text).unwrap_or_default(), missed]);
    }
    table
}
