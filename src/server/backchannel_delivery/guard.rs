//! Restricts the IP addresses to which logout requests may be sent, against SSRF. The operator
//! registers the URIs, but the owner of a host name decides to which IP address the name resolves.
//! Therefore the resolved IP address is checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The reason that is logged for an address that is not allowed.
pub(super) const PRIVATE: &str =
    "the address is in a private network, which SIGNET_LOGOUT_PRIVATE_NETWORKS does not allow";

/// A DNS resolver that returns allowed addresses only.
pub(super) struct Guard {
    /// Whether the operator allows private networks.
    pub(super) is_private_allowed: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let is_private_allowed = self.is_private_allowed;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|it| is_private_allowed || is_public(it.ip())).collect();
            if allowed.is_empty() {
                return Err(PRIVATE.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

impl Guard {
    /// Whether a request to this URI is allowed, as far as the URI itself shows. This check is
    /// needed for IP address literals, which never pass through the resolver.
    pub(super) fn admits(&self, uri: &str) -> bool {
        self.is_private_allowed || !names_private_address(uri)
    }
}

fn names_private_address(uri: &str) -> bool {
    let host = Url::parse(uri).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Ipv4(address)) => !is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => !is_public(IpAddr::V6(address)),
        Some(Host::Domain(_)) => false,
        None => true,
    }
}

/// Whether an address is globally reachable (RFC 6890 and its registries).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        // Azure's platform address, which is reachable only from virtual machines.
        || address.octets() == [168, 63, 129, 16];
    !is_special
}

/// Global unicast, except 6to4, IETF protocol assignments such as Teredo, and documentation
/// addresses.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    let is_special =
        a == 0x2002 || (a == 0x2001 && (b == 0x0db8 || b < 0x0200)) || (a == 0x3fff && b < 0x1000);
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_globally_reachable_addresses_are_public() {
        for address in ["93.184.215.14", "2606:2800:21f:cb07::1", "1.1.1.1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
            "2001:db8::1",
            "3fff:fff::1",
            "2001::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
            let host =
                if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            assert!(names_private_address(&format!("https://{host}/logout")), "{address}");
        }
        assert!(names_private_address("http://2130706433/"));
        assert!(!names_private_address("https://rp.example/"));
    }
}
