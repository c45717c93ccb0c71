//! Computes how many connections the file descriptor limit of the process (`ulimit -n`) allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Descriptors for everything except connections of clients and to PostgreSQL: SQLite's files (some
/// 25), back-channel logout requests in progress, the runtime, the log, and a margin.
const OTHER_DESCRIPTORS: u64 = 96;

/// Minimum number of connections that the descriptors must allow, unless fewer are configured.
const MIN_CONNECTIONS: u32 = 16;

/// The default limit for one client is the total limit divided by this number.
const PER_CLIENT_DIVISOR: u32 = 10;

/// The connection limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    /// For all clients together.
    pub(super) connections: u32,
    /// For one client.
    pub(super) per_client: u32,
}

/// The file descriptor limit of the process is too low.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the process may open {limit} files (ulimit -n, LimitNOFILE), but needs {others} besides those \
     for connections: allow at least {needed}"
)]
pub struct TooFewDescriptors {
    limit: u64,
    others: u64,
    needed: u64,
}

impl Capacity {
    /// The configured limits, reduced to the available descriptors. Raises the soft limit of the
    /// process to the hard limit.
    ///
    /// # Errors
    /// If too few descriptors are available.
    pub(super) fn of(config: &Config) -> Result<Self, TooFewDescriptors> {
        let wanted = config.service.max_connections;
        let others = OTHER_DESCRIPTORS + u64::from(config.database.database_connections);
        let connections = fit(wanted, raise_limit(), others)?;
        if connections < wanted {
            tracing::warn!(
                connections,
                wanted,
                "fewer connections than SIGNET_MAX_CONNECTIONS fit into the files that the process \
                 may open (ulimit -n, LimitNOFILE)"
            );
        }
        let per_client = config.service.max_connections_per_client;
        let per_client = per_client.unwrap_or_else(|| (connections / PER_CLIENT_DIVISOR).max(1));
        Ok(Self { connections, per_client })
    }
}

/// Raises the soft limit, which only protects programs that call `select`. Signet does not call it.
/// Returns the limit that is now in effect, or `None` if there is no limit.
fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    // This fails on systems with an additional limit below the hard limit.
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// How many connections the descriptor limit allows beside the `others`; at most `wanted`.
fn fit(wanted: u32, limit: Option<u64>, others: u64) -> Result<u32, TooFewDescriptors> {
    let Some(limit) = limit else { return Ok(wanted) };
    let required = wanted.min(MIN_CONNECTIONS);
    let connections = u32::try_from(limit.saturating_sub(others)).unwrap_or(u32::MAX).min(wanted);
    if connections < required {
        return Err(TooFewDescriptors { limit, others, needed: others + u64::from(required) });
    }
    Ok(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_limit_is_the_setting_capped_by_descriptors() {
        for (wanted, limit, expected) in [
            (10_000, None, Some(10_000)),
            (10_000, Some(1_048_576), Some(10_000)),
            (10_000, Some(u64::MAX), Some(10_000)),
            (10_000, Some(1_024), Some(924)),
            (10_000, Some(116), Some(16)),
            (10_000, Some(115), None),
            (10_000, Some(0), None),
            (3, Some(103), Some(3)),
            (3, Some(102), None),
        ] {
            let fitted = fit(wanted, limit, 100);
            assert_eq!(fitted.as_ref().ok(), expected.as_ref(), "{wanted} in {limit:?}");
        }
        let refused = fit(10_000, Some(64), 100).unwrap_err();
        assert_eq!(refused, TooFewDescriptors { limit: 64, others: 100, needed: 116 });
    }
}
