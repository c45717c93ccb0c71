//! Tells clients of logouts (OpenID Connect Back-Channel Logout 1.0 §2.5), one POST each.
//!
//! The addresses are the operator's, but their names resolve to whatever their owners like. So,
//! unless a setting says otherwise, only public addresses are spoken to, and that is decided on the
//! address that is connected to. Redirects are not followed, and answers not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use url::{Host, Url, form_urlencoded};

use crate::domain::oauth::backchannel::{self, Delivery};
use crate::http::App;

/// How often the queue is looked at.
const BEAT: Duration = Duration::from_secs(1);

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Delivers what is due, for ever.
pub(super) async fn tell_clients(app: Arc<App>, is_private_allowed: bool) {
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .dns_resolver(Arc::new(Guard { is_private_allowed }))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "clients cannot be told of logouts");
            return;
        }
    };
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        match backchannel::take_due(&app.db, app.clock.now()).await {
            Ok(due) => {
                let deliveries =
                    due.into_iter().map(|it| deliver(&app, &client, it, is_private_allowed));
                futures_util::future::join_all(deliveries).await;
            }
            Err(error) => tracing::warn!(%error, "the queue of logouts could not be read"),
        }
    }
}

async fn deliver(app: &App, client: &Client, delivery: Delivery, is_private_allowed: bool) {
    let Delivery { notice, uri } = delivery;
    let is_told = match backchannel::logout_token(&app.issuer, &notice, app.clock.now()) {
        Ok(token) if is_private_allowed || !names_private_address(&uri) => {
            is_accepted(client, &uri, &token).await
        }
        Ok(_) => false,
        Err(error) => {
            tracing::warn!(%error, "a logout token could not be signed");
            false
        }
    };
    let settled = if is_told {
        backchannel::forget(&app.db, notice.session_id).await
    } else {
        tracing::info!(client.id = notice.client_id, "a client could not be told of a logout");
        backchannel::postpone(&app.db, &notice, app.clock.now()).await
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "a notice could not be settled; it will be sent again");
    }
}

/// §2.8: 200, or 204 which some frameworks make of an empty 200.
async fn is_accepted(client: &Client, uri: &str, token: &str) -> bool {
    let form =
        form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    let request = client.post(uri).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = request.body(form).send().await;
    answer.is_ok_and(|answer| matches!(answer.status().as_u16(), 200 | 204))
}

/// Resolves names to addresses that may be spoken to.
struct Guard {
    is_private_allowed: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let is_private_allowed = self.is_private_allowed;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|it| is_private_allowed || is_public(it.ip())).collect();
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// An address in place of a name is not resolved.
fn names_private_address(uri: &str) -> bool {
    let host = Url::parse(uri).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Ipv4(address)) => !is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => !is_public(IpAddr::V6(address)),
        Some(Host::Domain(_)) => false,
        None => true,
    }
}

/// Whether an address is one of the public internet (RFC 6890 and its registries).
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
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

/// Global unicast, without what stands for IPv4 addresses or for examples.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    let is_special = a == 0x2002 || (a == 0x2001 && (b == 0x0db8 || b < 0x0200));
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_spoken_to() {
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
