//! Limits the connections of each client, so that no single host can use them all.
//!
//! A client is the same as for the attempt limits: an address, or an IPv6 block. A trusted proxy
//! carries the connections of many clients and is expected to limit them itself.

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
const QUIET: Duration = Duration::from_mins(1);

/// The connection counts of all clients.
#[derive(Clone)]
pub(super) struct ConnectionLimit(Arc<Shared>);

struct Shared {
    each: u32,
    ipv6_prefix: u8,
    exempt: Vec<IpNet>,
    taken: Mutex<Taken>,
}

/// At most as many entries as there are connections.
#[derive(Default)]
struct Taken {
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
    /// At most `each` connections for each client.
    pub(super) fn new(each: u32, config: &Config) -> Self {
        Self(Arc::new(Shared {
            each,
            ipv6_prefix: config.limits.ipv6_prefix,
            exempt: config.service.trusted_proxies.clone(),
            taken: Mutex::default(),
        }))
    }

    /// Counts a connection from `address`; `None` for a trusted proxy, which is not limited.
    pub(super) fn take(&self, address: IpAddr) -> Result<Option<ConnectionSlot>, Full> {
        let address = address.to_canonical();
        if self.0.exempt.iter().any(|block| block.contains(&address)) {
            return Ok(None);
        }
        let client = http::client_of(Some(address), self.0.ipv6_prefix);
        let mut taken = self.taken();
        let count = taken.by_client.entry(client).or_default();
        if *count >= self.0.each {
            taken.warn(address);
            return Err(Full);
        }
        *count += 1;
        Ok(Some(ConnectionSlot { limit: self.clone(), client }))
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// At most once per minute, so that rejected clients do not flood the log.
    fn warn(&mut self, address: IpAddr) {
        if self.last_warning.is_none_or(|at| at.elapsed() >= QUIET) {
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
        let mut taken = self.limit.taken();
        if let Entry::Occupied(mut entry) = taken.by_client.entry(self.client) {
            match entry.get().checked_sub(1) {
                Some(rest @ 1..) => *entry.get_mut() = rest,
                _ => drop(entry.remove()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(each: u32) -> ConnectionLimit {
        ConnectionLimit(Arc::new(Shared {
            each,
            ipv6_prefix: 64,
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
            taken: Mutex::default(),
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
            let slot = limit.take(one.parse().unwrap()).unwrap();

            assert!(limit.take(other.parse().unwrap()).is_err(), "{other}");
            drop(slot);
            assert!(limit.take(other.parse().unwrap()).is_ok(), "{other}");
            assert!(limit.taken().by_client.is_empty(), "no entry remains");
        }
    }

    #[test]
    fn other_clients_and_proxies_are_counted_separately() {
        let limit = limit(1);
        let _one = limit.take("2001:db8::1".parse().unwrap()).unwrap();

        assert!(limit.take("2001:db8:0:1::1".parse().unwrap()).is_ok());
        for _ in 0..9 {
            let slot = limit.take("::ffff:10.1.2.3".parse().unwrap()).unwrap();
            assert!(slot.is_none(), "a trusted proxy has no limit");
        }
    }
}
