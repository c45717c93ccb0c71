//! Who counts as one client: for limits, for connections, and for turns at the password hash.

use std::net::IpAddr;

/// One client: an IPv4 address, or an IPv6 block of `prefix` bits; 0 for those without an address.
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
