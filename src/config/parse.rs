//! Parsers for the values of settings. An error states what is wrong. It does not repeat the value,
//! which clap shows before it, except for the port, or for the spelling to use instead.

use std::net::{Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use url::Url;

/// RFC 8414 §2: https, a host, no query, no fragment. Plain http is accepted for loopback hosts
/// only.
pub(super) fn parse_issuer(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty: remove the setting, or give it a value".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("has no host".to_owned()),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err("must be https (http is accepted for loopback addresses)".to_owned()),
    }
    if url.query().is_some() || url.fragment().is_some() || text.contains('@') {
        return Err("must have no query, fragment or user name (RFC 8414 section 2)".to_owned());
    }
    if text.ends_with('/') {
        return Err("must not end with a slash: the paths of the service follow it".to_owned());
    }
    // Verifiers compare the issuer byte for byte, so a spelling that a URL parser would normalize
    // is refused.
    let normalized = url.as_str().trim_end_matches('/');
    if text != normalized {
        return Err(format!("must be written as {normalized}"));
    }
    Ok(text.to_owned())
}

pub(super) fn parse_audience(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if plain {
        Ok(text.to_owned())
    } else {
        Err("must be printable ASCII without spaces, and not empty".to_owned())
    }
}

/// An origin as browsers send it (RFC 6454 §6.1); `*` and `null` are never allowed.
pub(super) fn parse_origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("not an origin: {error}"))?;
    let normalized = url.origin().ascii_serialization();
    if !url.origin().is_tuple() {
        return Err("must be scheme://host or scheme://host:port, without a path".to_owned());
    }
    // Browsers send the serialized origin, which is compared as a string.
    if normalized == text {
        Ok(normalized)
    } else {
        Err(format!("must be written as {normalized}"))
    }
}

/// An IP address and a port. Host names are not resolved, because a name may have several
/// addresses; `localhost` is 127.0.0.1.
pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
        let port = port.unwrap_or("8080");
        format!(
            "must be ADDRESS:PORT: 127.0.0.1:{port} for this host alone, 0.0.0.0:{port} for all of \
             its IPv4 addresses, [::]:{port} for all"
        )
    })
}

/// Converts a block of IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) to the IPv4 block. Client
/// addresses are converted in the same way.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(mapped) = net else { return net };
    let length = mapped.prefix_len().checked_sub(96);
    let block = mapped.addr().to_ipv4_mapped().zip(length);
    block.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(net, IpNet::V4)
}

pub(super) fn parse_proxy(text: &str) -> Result<IpNet, String> {
    let net = match text.parse::<std::net::IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| "not an address or CIDR block".to_owned())?,
    };
    let net = unmapped(net);
    if net.prefix_len() == 0 {
        return Err("would trust forwarding headers from every address".to_owned());
    }
    Ok(net.trunc())
}

pub(super) fn parse_rsa_bits(text: &str) -> Result<u32, String> {
    match text {
        "2048" => Ok(2048),
        "3072" => Ok(3072),
        "4096" => Ok(4096),
        _ => Err("must be 2048, 3072 or 4096".to_owned()),
    }
}
