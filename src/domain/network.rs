//! Which IP addresses count as one client, for attempt limits, connection limits and password
//! hashing.

use std::net::IpAddr;

/// A number that identifies the client of an IP address: the IPv4 address, mapped to IPv6, or the
/// first `prefix` bits of the IPv6 address. 0 if there is no address.
#[must_use]
pub fn client(address: Option<IpAddr>, prefix: u8) -> u128 {
    match address.map(|address| address.to_canonical()) {
        None => 0,
        Some(IpAddr::V4(v4)) => v4.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(v6)) => {
            v6.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
        }
    }
}
