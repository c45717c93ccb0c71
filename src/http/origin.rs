//! The origin of a request. Its client address comes from trusted sources only.
//!
//! The client address is the address of the connection. If a trusted proxy opened the connection,
//! the client address is the rightmost hop of `X-Forwarded-For` that is not a trusted proxy, since
//! the client can write everything to the left of that hop. No other forwarding header is read.
//! poem's `RealIp` would trust the leftmost hop, even if a client forged it.

use std::net::IpAddr;
use std::sync::{Arc, Once};

use ipnet::IpNet;
use poem::http::header;
use poem::{Addr, FromRequest, Request, RequestBody, Result};

use crate::domain::audit::Origin;
use crate::http::app::App;
use crate::http::request_context::RequestContext;
use crate::http::request_language;

/// The header in which proxies write the addresses of the clients whose requests they forward.
pub(super) const FORWARDED_FOR: &str = "x-forwarded-for";

/// Limits the warning about an ignored header to one per process, because clients can send the header
/// themselves.
static WARNED: Once = Once::new();

impl<'a> FromRequest<'a> for Origin {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(of(request))
    }
}

/// The origin of `request`.
pub(super) fn of(request: &Request) -> Origin {
    let proxies = request.data::<Arc<App>>().map_or(&[][..], |app| app.trusted_proxies.as_slice());
    let peer = peer(request);
    let is_proxied = peer.is_some_and(|peer| is_trusted(proxies, peer));
    if !is_proxied && request.headers().contains_key(FORWARDED_FOR) {
        WARNED.call_once(|| warn_of_ignored_header(peer));
    }
    let chain = is_proxied.then(|| chain(request)).filter(|chain| !chain.is_empty());
    let user_agent = request.headers().get(header::USER_AGENT);
    Origin {
        address: chain.as_deref().map_or(peer, |chain| client_of(chain, proxies)),
        forwarded: chain,
        user_agent: user_agent.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned()),
        request_id: RequestContext::current().map(|context| context.id),
        language: request_language::current(),
    }
}

fn warn_of_ignored_header(peer: Option<IpAddr>) {
    let peer = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    tracing::warn!(
        peer,
        "X-Forwarded-For is ignored, because SIGNET_TRUSTED_PROXIES does not contain the address that \
         the request came from. If that is your proxy, add it: until then, all clients behind it share \
         the attempt limits of one address. Logged once, for the first such request"
    );
}

fn peer(request: &Request) -> Option<IpAddr> {
    match &request.remote_addr().0 {
        Addr::SocketAddr(address) => Some(address.ip().to_canonical()),
        _ => None,
    }
}

fn is_trusted(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|block| block.contains(&address))
}

/// The complete chain as received, with the header fields in their order.
fn chain(request: &Request) -> String {
    let fields = request.headers().get_all(FORWARDED_FOR).iter();
    let texts = fields.map(|field| String::from_utf8_lossy(field.as_bytes()).into_owned());
    texts.collect::<Vec<_>>().join(", ")
}

/// The rightmost hop that is not a trusted proxy, or the leftmost hop if all are trusted. `None` if
/// a hop up to there cannot be parsed: such requests share one rate limit bucket.
fn client_of(chain: &str, proxies: &[IpNet]) -> Option<IpAddr> {
    let mut address = None;
    for hop in chain.rsplit(',').map(str::trim) {
        let hop = parse_hop(hop)?;
        address = Some(hop);
        if !is_trusted(proxies, hop) {
            break;
        }
    }
    address
}

/// An address with or without a port, as proxies write it.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(hop.parse::<std::net::SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RL-03: the chain is read from right to left, up to the client's hop.
    #[test]
    fn rightmost_untrusted_hop_is_the_client() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];

        for (chain, expected) in [
            ("203.0.113.9", Some("203.0.113.9")),
            ("198.51.100.1, 203.0.113.9", Some("203.0.113.9")),
            ("198.51.100.1, 203.0.113.9, 10.2.3.4", Some("203.0.113.9")),
            ("garbage, 203.0.113.9", Some("203.0.113.9")),
            ("::ffff:203.0.113.9", Some("203.0.113.9")),
            ("203.0.113.9:4711", Some("203.0.113.9")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("10.9.9.9", Some("10.9.9.9")),
            ("203.0.113.9, unknown", None),
            ("203.0.113.9,", None),
        ] {
            let expected = expected.map(|it| it.parse().unwrap());
            assert_eq!(client_of(chain, &proxies), expected, "{chain}");
        }
    }
}
