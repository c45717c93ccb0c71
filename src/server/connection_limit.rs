//! Limits the connections of each client, so that no single host can use all connections.
//!
//! As for the attempt limits, a client is an IPv4 address or an IPv6 block. Trusted proxies are
//! exempt: they carry the connections of many clients and are expected to limit these themselves.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use crate::config::Config;
use crate::http;

/// Minimum time between two log lines about clients at their limit.
const WARNING_PERIOD: Duration = Duration::from_mins(1);

/// Counts and limits the connections of each client.
#[derive(Clone)]
pub(super) struct ConnectionLimit(Arc<Shared>);

struct Shared {
    max_per_client: u32,
    ipv6_prefix: u8,
    exempt: Vec<IpNet>,
    counts: Mutex<Counts>,
}

/// The counts of clients with open connections.
#[derive(Default)]
struct Counts {
    by_client: HashMap<u128, u32>,
    last_warning: Option<Instant>,
}

/// One connection of a client, counted until it is dropped.
pub(super) struct ConnectionSlot {
    limit: ConnectionLimit,
    client: u128,
}

/// The client is at its connection limit.
#[derive(Debug)]
pub(super) struct Full;

impl ConnectionLimit {
    /// A limit of `max_per_client` connections for each client.
    pub(super) fn new(max_per_client: u32, config: &Config) -> Self {
        Self(Arc::new(Shared {
            max_per_client,
            ipv6_prefix: config.limits.ipv6_prefix,
            exempt: config.service.trusted_proxies.clone(),
            counts: Mutex::default(),
        }))
    }

    /// Counts a connection from `address`. `None` for a trusted proxy, which is not limited.
    pub(super) fn acquire(&self, address: IpAddr) -> Result<Option<ConnectionSlot>, Full> {
        let address = address.to_canonical();
        if self.0.exempt.iter().any(|block| block.contains(&address)) {
            return Ok(None);
        }
        let client = http::client_of(Some(address), self.0.ipv6_prefix);
        let mut counts = self.counts();
        let count = counts.by_client.entry(client).or_default();
        if *count >= self.0.max_per_client {
            counts.warn(address);
            return Err(Full);
        }
        *count += 1;
        Ok(Some(ConnectionSlot { limit: self.clone(), client }))
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Logs a warning, at most once per minute, so that rejected clients do not flood the log.
    fn warn(&mut self, address: IpAddr) {
        if self.last_warning.is_none_or(|at| at.elapsed() >= WARNING_PERIOD) {
            self.last_warning = Some(Instant::now());
            tracing::warn!(
                %address,
                "a client has reached SIGNET_MAX_CONNECTIONS_PER_CLIENT; if it is a proxy, add it \
                 to SIGNET_TRUSTED_PROXIES"
            );
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut counts = self.limit.counts();
        if let Entry::Occupied(mut entry) = counts.by_client.entry(self.client) {
            match entry.get().checked_sub(1) {
                Some(remaining @ 1..) => *entry.get_mut() = remaining,
                _ => drop(entry.remove()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(max_per_client: u32) -> ConnectionLimit {
        ConnectionLimit(Arc::new(Shared {
            max_per_client,
            ipv6_prefix: 64,
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
            counts: Mutex::default(),
        }))
    }

    /// DS-04: a client with an IPv6 block gets no more connections than one with a single address.
    #[test]
    fn addresses_of_a_client_share_its_connection_limit() {
        for (one, other) in [
            ("203.0.113.9", "::ffff:203.0.113.9"),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"),
        ] {
            let limit = limit(1);
            let slot = limit.acquire(one.parse().unwrap()).unwrap();

            assert!(limit.acquire(other.parse().unwrap()).is_err(), "{other}");
            drop(slot);
            assert!(limit.acquire(other.parse().unwrap()).is_ok(), "{other}");
            assert!(limit.counts().by_client.is_empty(), "no entry remains");
        }
    }

    #[test]
    fn clients_have_separate_limits_and_trusted_proxies_have_none() {
        let limit = limit(1);
        let _one = limit.acquire("2001:db8::1".parse().unwrap()).unwrap();

        assert!(limit.acquire("2001:db8:0:1::1".parse().unwrap()).is_ok());
        for _ in 0..9 {
            let slot = limit.acquire("::ffff:10.1.2.3".parse().unwrap()).unwrap();
            assert!(slot.is_none(), "a trusted proxy has no limit");
        }
    }
}
