//! What a setting's text must look like. Each error says what is wrong, never the value.

use ipnet::IpNet;
use url::Url;

use crate::config::DatabaseUrl;

pub(super) fn parse_database_url(text: &str) -> Result<DatabaseUrl, String> {
    let known = ["sqlite:", "postgres:", "postgresql:"].iter().any(|s| text.starts_with(s));
    if !known {
        return Err("must start with sqlite: or postgres:".to_owned());
    }
    if !text.starts_with("sqlite:") && Url::parse(text).is_err() {
        let hint = "special characters of the password must be percent-encoded";
        return Err(format!("is not a URL; {hint}"));
    }
    if text.contains(":memory:") || text.contains("mode=memory") {
        return Err("an in-memory database would forget every account at exit".to_owned());
    }
    Ok(DatabaseUrl::unchecked(text))
}

/// RFC 8414 §2: https, a host, no query, no fragment. Plain http is for loopback only.
pub(super) fn parse_issuer(text: &str) -> Result<String, String> {
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
    // Services compare it byte for byte; what a parser would repair is another text for each of them.
    let written = url.as_str().trim_end_matches('/');
    if text != written {
        return Err(format!("must be written as {written}"));
    }
    Ok(text.to_owned())
}

pub(super) fn parse_audience(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if plain { Ok(text.to_owned()) } else { Err("must be printable ASCII, not empty".to_owned()) }
}

/// An origin as browsers send it (RFC 6454 §6.1); `*` and `null` are never allowed.
pub(super) fn parse_origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("not an origin: {error}"))?;
    if url.origin().is_tuple() && url.origin().ascii_serialization() == text {
        Ok(text.to_owned())
    } else {
        Err("must be scheme://host or scheme://host:port, without a path".to_owned())
    }
}

pub(super) fn parse_proxy(text: &str) -> Result<IpNet, String> {
    let net = match text.parse::<std::net::IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| "not an address or CIDR block".to_owned())?,
    };
    if net.prefix_len() == 0 {
        return Err("would believe a forwarding header from anybody".to_owned());
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
