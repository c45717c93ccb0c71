//! Redirect URIs: validation at registration, and matching in requests.

use std::net::IpAddr;

use url::{Host, Url};

/// Schemes of the URL standard that execute or display their content.
const FORBIDDEN_SCHEMES: [&str; 9] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "ftp", "mailto"];

/// Maximum length of a URI, in bytes.
const MAX_LENGTH: usize = 2000;

/// Parameters that responses add (RFC 6749 §4.1.2, RFC 9207 §2). They must not occur twice.
const RESPONSE_PARAMETERS: [&str; 6] =
    ["code", "state", "iss", "error", "error_description", "error_uri"];

/// Why a URI with another scheme may not be registered.
pub const NOT_HTTPS: &str = "has a scheme that is not https; a client with application_type native \
     may use a scheme of its own, which is a domain name in reverse, like com.example.app";

/// Why a URI cannot be registered if it is relative or has characters that URIs must not have.
const MALFORMED: &str =
    "is not an absolute URI in printable ASCII, percent-encoded as in a request";

/// Validates a URI for registration (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1.3).
///
/// # Errors
/// The rule that the URI breaks, for the operator.
pub fn check(uri: &str, is_native: bool) -> Result<(), &'static str> {
    if uri.len() > MAX_LENGTH {
        return Err("is longer than 2000 bytes");
    }
    let is_printable = uri.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if !is_printable || uri.contains(['\\', '"', '<', '>', '`', '{', '}', '|', '^', '*']) {
        return Err(MALFORMED);
    }
    if uri.contains('#') {
        return Err("has a fragment");
    }
    let url = Url::parse(uri).map_err(|_| MALFORMED)?;
    // The parser repairs some URIs, but the browser would be redirected to the original URI.
    let (scheme, rest) = uri.split_once(':').ok_or(MALFORMED)?;
    if scheme != url.scheme() || changes_path(&url, uri) {
        return Err(MALFORMED);
    }
    // A user name can make one host look like another.
    if authority(rest).contains('@') {
        return Err("has a user name or a password");
    }
    // A client could not distinguish this parameter from the parameter that the response adds.
    if url.query_pairs().any(|(name, _)| RESPONSE_PARAMETERS.contains(&&*name)) {
        return Err("has a query parameter that responses add: code, state, iss or error");
    }
    match scheme {
        "https" if rest.starts_with("//") && url.has_host() => Ok(()),
        "http" if rest.starts_with("//") && is_native && is_loopback(&url) => Ok(()),
        // With http, the code could be read in transit.
        "http" => Err(
            "must be https; http is for loopback addresses of clients with application_type native",
        ),
        // RFC 8252 §7.1.
        _ if FORBIDDEN_SCHEMES.contains(&scheme) || !is_native || !scheme.contains('.') => {
            Err(NOT_HTTPS)
        }
        _ => Ok(()),
    }
}

/// Whether a URI in a request matches a registered URI, by exact string comparison. Only the
/// loopback address of a native client may have another port (RFC 8252 §7.3), because the client
/// cannot know in advance which port is free.
#[must_use]
pub fn matches(registered: &str, presented: &str, is_native: bool) -> bool {
    if registered == presented {
        return true;
    }
    let (Some(registered), Some(presented)) = (without_port(registered), without_port(presented))
    else {
        return false;
    };
    is_native && registered == presented
}

/// The parts of a loopback IP URI before and after its port. `None` for any other URI.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let host = ["http://127.0.0.1", "http://[::1]"].into_iter().find(|it| uri.starts_with(it))?;
    let rest = uri.strip_prefix(host)?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (port, path) = rest.split_at_checked(at)?;
    let is_port = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|b| b.is_ascii_digit())
                && digits.parse::<u16>().is_ok_and(|port| port.to_string() == digits && port > 0)
        }
        None => port.is_empty(),
    };
    is_port.then_some((host, path))
}

/// Whether the parser changes the path, as it does with `/../` and `%2e`.
fn changes_path(url: &Url, uri: &str) -> bool {
    let before_query = uri.split('?').next().unwrap_or(uri);
    let after_scheme = before_query.split_once("//").map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').and_then(|at| after_scheme.get(at..));
    url.has_host() && path.is_some_and(|path| path != url.path())
}

/// The part between `//` and the path.
fn authority(after_scheme: &str) -> &str {
    let rest = after_scheme.strip_prefix("//").unwrap_or_default();
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RU-03, MUST-037, MUST-038: which URIs can be registered, by which clients.
    #[test]
    fn only_https_loopback_and_reverse_domain_schemes_can_be_registered() {
        for uri in [
            "https://rp.example/cb",
            "https://rp.example/cb?a=b",
            "https://rp.example",
            "https://rp.example:8443/cb/%20x",
        ] {
            assert_eq!(check(uri, false), Ok(()), "{uri}");
        }
        for uri in [
            "http://127.0.0.1/cb",
            "http://[::1]/cb",
            "http://localhost:3000/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
        ] {
            assert_eq!(check(uri, true), Ok(()), "{uri}");
            assert!(check(uri, false).is_err(), "{uri}");
        }
        for uri in [
            "http://rp.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://10.0.0.1/cb",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "app:/cb",
            "urn:ietf:wg:oauth:2.0:oob",
            "/cb",
            "//rp.example/cb",
            "rp.example/cb",
            "https:rp.example/cb",
            "https://rp.example/cb#",
            "https://rp.example/cb#x",
            "https://user@rp.example/cb",
            "https://@rp.example/cb",
            "https://:@rp.example/cb",
            "https://:secret@rp.example/cb",
            "https://rp.example/cb?iss=https://evil.example",
            "https://rp.example/cb?a=b&state",
            "https://rp.example/cb?cod%65=x",
            "https://rp.example/a/../cb",
            "https://rp.example/%2e%2e/cb",
            "https://rp.example/*",
            "https://rp.example/\u{e9}",
            "https://rp.example/c b",
            "https://rp.example\\cb",
            "HTTPS://rp.example/cb",
            "",
        ] {
            assert!(check(uri, true).is_err(), "{uri}");
            assert!(check(uri, false).is_err(), "{uri}");
        }
    }

    /// MUST-035, MUST-036: only the port of a native client's loopback address may differ.
    #[test]
    fn only_the_port_of_a_loopback_address_may_differ() {
        let registered = "http://127.0.0.1/cb";
        for uri in ["http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", registered] {
            assert!(matches(registered, uri, true), "{uri}");
        }
        assert!(!matches(registered, "http://127.0.0.1:8080/cb", false));
        assert!(matches("http://[::1]:9/cb", "http://[::1]:4711/cb", true));
        for uri in [
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:80/cb/",
            "http://127.0.0.1:80/cb?x=y",
            "http://127.0.0.1:80/CB",
            "http://127.0.0.1:80/x/../cb",
            "http://localhost:80/cb",
            "http://[::1]:80/cb",
            "https://127.0.0.1:80/cb",
        ] {
            assert!(!matches(registered, uri, true), "{uri}");
        }
        assert!(!matches("http://localhost/cb", "http://localhost:3000/cb", true));
        assert!(!matches("https://rp.example/cb", "https://rp.example:444/cb", true));
    }
}
